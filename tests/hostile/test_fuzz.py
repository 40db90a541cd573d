"""Real files with bytes changed, cut out, doubled and moved, through everything that reads them.

Whatever the bytes are: a verdict of intake or of the decoder, never another exception. Decoding goes through
the pool of decoding processes, so that a codec which takes its process down is seen as what it is.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_files

from cxrbatch.intake.inspect import inspect
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind, Ignored, Rejection, SourceFile
from cxrbatch.intake.screening import MAX_PIXELS
from cxrbatch.pipeline.decoder_pool import DecoderPool, FailedFilm, Film, FilmFile
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.radiographs.display import display_jpeg
from cxrbatch.radiographs.radiograph import Radiograph, RadiographError
from cxrbatch.radiographs.read import read_radiograph
from cxrbatch.resources import shipped_folder

LARGEST = 300_000
"""Bytes: small files are mutated as well as large ones, and hundreds of times faster."""

RASTERS = ("L", "RGB", "RGBA", "P", "1", "I;16", "LA", "CMYK")

_DICOM_NUMBERS = tuple(  # Rows, Columns, samples, the bits, the representation, and the pixel data
    struct.pack("<HH", *tag)
    for tag in ((0x28, 0x10), (0x28, 0x11), (0x28, 2), (0x28, 0x100), (0x28, 0x101), (0x28, 0x102),
                (0x28, 0x103), (0x7FE0, 0x10))
)  # fmt: skip
_MARKERS = (b"\xff\xd8", b"\xff\xc0", b"\xff\xda", b"\xff\x4f", b"\xff\x51", b"\xfe\xff\x00\xe0", b"IHDR")


@lru_cache(maxsize=1)
def originals() -> tuple[tuple[str, bytes], ...]:
    """Real DICOM files of pydicom's own tests, the shipped samples, and pictures by Pillow."""
    paths = [*map(Path, get_testdata_files()), *shipped_folder("sample_data").rglob("*")]
    found = {path.name: path.read_bytes() for path in sorted(paths) if path.is_file() and is_small(path)}
    ramp = np.add.outer(np.arange(40), 5 * np.arange(30)).astype(np.uint8)
    for mode in RASTERS:
        deep = Image.fromarray(ramp.astype(np.uint16) * 257)
        picture = deep if mode == "I;16" else Image.fromarray(ramp).convert(mode)
        for kind in ("PNG", "JPEG"):
            data = BytesIO()
            try:
                picture.save(data, kind)
            except (OSError, ValueError):  # a JPEG has no transparency, a PNG no inks
                continue
            found[f"{mode.replace(';', '')}.{kind.lower()}"] = data.getvalue()
    return tuple(found.items())


def is_small(path: Path) -> bool:
    return path.suffix not in (".csv", ".npz", ".txt") and path.stat().st_size <= LARGEST


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file's name, and its bytes after one to six changes."""
    name, data = draw(st.sampled_from(originals()))
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        if changed:
            changed = draw(st.sampled_from(CHANGES))(draw, changed)
    return name, bytes(changed)


def _place(draw: st.DrawFn, data: bytearray) -> int:
    """Anywhere, but as often in the header as in all the rest, and often at an element that matters."""
    marks = [at for mark in (*_DICOM_NUMBERS, *_MARKERS) if (at := data.find(mark)) >= 0]
    anywhere = st.integers(0, len(data) - 1)
    near = [st.sampled_from(marks).map(lambda at: at + draw(st.integers(0, 12)))] if marks else []
    return min(len(data) - 1, draw(st.one_of(anywhere, st.integers(0, min(2000, len(data) - 1)), *near)))


def _overwrite(draw: st.DrawFn, data: bytearray) -> bytearray:
    at = _place(draw, data)
    new = draw(st.binary(min_size=1, max_size=8))
    data[at : at + len(new)] = new
    return data


def _extreme(draw: st.DrawFn, data: bytearray) -> bytearray:
    at = _place(draw, data)
    number = draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)))
    packed = struct.pack(draw(st.sampled_from("<>")) + "I", number)
    data[at : at + 4] = packed
    return data


def _flip(draw: st.DrawFn, data: bytearray) -> bytearray:
    data[_place(draw, data)] ^= 1 << draw(st.integers(0, 7))
    return data


def _cut(draw: st.DrawFn, data: bytearray) -> bytearray:
    at = _place(draw, data)
    del data[at : at + draw(st.integers(1, 200))]
    return data


def _truncate(draw: st.DrawFn, data: bytearray) -> bytearray:
    return data[: _place(draw, data)]


def _double(draw: st.DrawFn, data: bytearray) -> bytearray:
    at, length = _place(draw, data), draw(st.integers(1, 400))
    data[at:at] = data[at : at + length]
    return data


def _insert(draw: st.DrawFn, data: bytearray) -> bytearray:
    at = _place(draw, data)
    data[at:at] = draw(st.binary(min_size=1, max_size=40))
    return data


def _splice(draw: st.DrawFn, data: bytearray) -> bytearray:
    _, other = draw(st.sampled_from(originals()))
    at = _place(draw, data)
    return data[:at] + other[draw(st.integers(0, len(other) - 1)) :]


CHANGES: tuple[Callable[[st.DrawFn, bytearray], bytearray], ...] = (
    _overwrite, _extreme, _flip, _cut, _truncate, _double, _insert, _splice,
)  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with_patience = DecoderPool(1, InputSpec(height=64, width=48, channels=1, scaling="unit"), timeout=20)
    yield with_patience
    with_patience.close()


@pytest.fixture(scope="module")
def inbox() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def check(pool: DecoderPool, inbox: Path, name: str, data: bytes) -> str:
    """Takes a file through a night's steps; says what became of it."""
    path = inbox / name
    path.write_bytes(data)
    source = SourceFile(os.fspath(path), len(data), 0, 0)
    found = inspect(source)
    if isinstance(found, Ignored):
        return "ignored"
    reason = ""
    if isinstance(found, Rejection):
        assert found.detail.endswith((".", "?")), found.detail
        assert found.detail.isprintable(), found.detail
        reason = str(found.reason)
    header = found.header
    # What screening leaves out is decoded all the same: there are few chest films among the test files.
    if header is None or not 0 < header.rows * header.columns <= MAX_PIXELS or header.rows < 0:
        return reason
    (outcome,) = pool.decode([FilmFile(0, source.path, header.kind, header.rows, header.columns)])
    if isinstance(outcome, FailedFilm):
        detail = outcome.failure.detail
        assert detail.isprintable(), detail
        assert not detail.startswith("Unexpected"), detail
        return outcome.failure.reason
    assert isinstance(outcome, Film)
    assert outcome.grey.shape == (64, 48)
    assert np.isfinite(outcome.grey).all()
    assert outcome.decoded.display_jpeg.startswith(b"\xff\xd8")
    return f"{reason} decoded"


DIED_IN_A_CODEC = (Reason.DECODER_CRASHED, Reason.DECODE_TIMEOUT)


def has_codec(data: bytes) -> bool:
    """Whether native code decodes the pixels: compressed DICOM, and every PNG and JPEG."""
    return data[128:132] != b"DICM" or b"1.2.840.10008.1.2.4." in data[:2000] or b"1.2.5" in data[:2000]


def fuzz(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        # Derandomised: the same cases in every run, so that CI is not red for luck.
        repeatable = settings(
            max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=quiet
        )
        return repeatable(given(mutated())(test))

    return decorate


@fuzz(500)
def test_no_file_is_lost_and_nothing_but_a_codec_dies(
    pool: DecoderPool, inbox: Path, case: tuple[str, bytes]
) -> None:
    outcome = check(pool, inbox, *case)
    assert outcome not in DIED_IN_A_CODEC or has_codec(case[1])


@pytest.mark.long
@fuzz(10_000)
def test_ten_thousand_files(pool: DecoderPool, inbox: Path, case: tuple[str, bytes]) -> None:
    outcome = check(pool, inbox, *case)
    assert outcome not in DIED_IN_A_CODEC or has_codec(case[1])


def test_mutations_reach_every_stage(pool: DecoderPool, inbox: Path) -> None:
    """The test above could not fail if every case stopped at the door."""
    outcomes: set[str] = set()

    @fuzz(150)
    def collect(case: tuple[str, bytes]) -> None:
        outcomes.add(check(pool, inbox, *case))

    collect()
    assert {Reason.DECODE_FAILED, Reason.UNREADABLE, "ignored"} <= outcomes
    assert [outcome for outcome in outcomes if outcome.endswith(" decoded")]


def test_reading_in_this_process_raises_its_own_error_only() -> None:
    """Uncompressed films, which no native codec touches, as a library would read them."""
    said: list[str] = []
    plain = [(name, data) for name, data in originals() if data[128:132] == b"DICM" and not has_codec(data)]

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.sampled_from(plain), st.integers(0, 3000), st.binary(min_size=1, max_size=6))
    def read(original: tuple[str, bytes], at: int, new: bytes) -> None:
        data = bytearray(original[1])
        data[at : at + len(new)] = new
        try:
            radiograph = read_radiograph(bytes(data), FileKind.DICOM)
        except RadiographError as refused:
            said.append(refused.detail)
            return
        assert isinstance(radiograph, Radiograph)
        assert display_jpeg(radiograph.pixels).startswith(b"\xff\xd8")

    read()
    assert said
    assert [detail for detail in said if not detail.isprintable()] == []
