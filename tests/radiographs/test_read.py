"""Whatever the bytes, `read_radiograph` gives a Radiograph or raises RadiographError, and says nothing."""

from __future__ import annotations

import io
import logging
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import data_store
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs import read
from cxrbatch.radiographs.radiograph import Radiograph, RadiographError
from cxrbatch.radiographs.read import BLANK_NOTE, read_radiograph

BUNDLED = Path(pydicom.__file__).parent / "data"
STORE = Path(data_store.__file__).parent / "data"
FILES = sorted(p for folder in (BUNDLED, STORE) for p in folder.rglob("*") if p.is_file())
DELIBERATELY_BROKEN = {
    "JPEG-lossy.dcm": Reason.DECODE_FAILED,
    "JPEG2000-embedded-sequence-delimiter.dcm": Reason.DECODE_FAILED,
    "MR_truncated.dcm": Reason.DECODE_FAILED,
    "emri_small_jpeg_2k_lossless_too_short.dcm": Reason.DECODE_FAILED,
    "emri_small.dcm": Reason.MULTIFRAME,
    "rtplan.dcm": Reason.PIXEL_DATA_MISSING,
}


def outcome(data: bytes, kind: FileKind) -> Radiograph | RadiographError:
    """What came of it; any other exception fails the test."""
    try:
        result: Radiograph | RadiographError = read_radiograph(data, kind)
    except RadiographError as error:
        result = error
    if isinstance(result, RadiographError):
        assert result.detail
        assert "\n" not in result.detail
        return result
    assert result.pixels.dtype == np.uint16
    assert result.pixels.ndim == 2
    assert all(note.endswith(".") for note in result.notes)
    return result


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_bundled_file_of_pydicom(path, capfd):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = outcome(path.read_bytes(), FileKind.DICOM)
    assert not caught
    assert capfd.readouterr() == ("", "")
    expected = DELIBERATELY_BROKEN.get(path.name)
    assert (result.reason if isinstance(result, RadiographError) else None) == expected or expected is None


def test_every_single_frame_image_that_pydicom_decodes_is_decoded():
    """Nothing that pydicom itself reads is refused."""
    refused = []
    for path in FILES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ds = pydicom.dcmread(path)
                if int(ds.get("NumberOfFrames") or 1) > 1 or path.name.startswith("RG"):
                    continue  # the large ones have tests of their own
                ds.pixel_array  # noqa: B018
            except Exception:
                continue
        if isinstance(outcome(path.read_bytes(), FileKind.DICOM), RadiographError):
            refused.append(path.name)
    assert refused == []


def test_decoders_stay_silent_even_where_logging_is_on(make_dicom, encode, ramp, caplog):
    ds = make_dicom(ramp, NumberOfFrames=1)
    ds.add_new("WindowCenter", "DS", "2048")
    data = encode(ds).replace(b"2048", b"SECR")
    with caplog.at_level(logging.DEBUG):
        outcome(data, FileKind.DICOM)
        outcome((BUNDLED / "test_files" / "JPEG-lossy.dcm").read_bytes(), FileKind.DICOM)
    assert caplog.records == []
    assert logging.getLogger("pydicom").level <= logging.CRITICAL


@pytest.mark.parametrize("kind", FileKind)
@given(data=st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_random_bytes(kind, data):
    outcome(data, kind)


def mutations(data: bytes, limit: int | None = None) -> st.SearchStrategy[bytes]:
    """`data` with some bytes changed, removed or added within the first `limit`."""
    place = st.integers(0, (limit or len(data)) - 1)
    edit = st.tuples(place, st.sampled_from(["set", "cut", "add"]), st.binary(min_size=1, max_size=6))

    def apply(edits: list[tuple[int, str, bytes]]) -> bytes:
        result = bytearray(data)
        for at, what, new in edits:
            end = at + (len(new) if what in ("set", "cut") else 0)
            result[at:end] = b"" if what == "cut" else new
        return bytes(result)

    return st.lists(edit, min_size=1, max_size=6).map(apply)


def small_png() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((24, 20), 60).convert("P").save(buffer, "PNG", transparency=3)
    return buffer.getvalue()


def small_jpeg() -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((40, 30), 60).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


FUZZED = {
    "native": ((BUNDLED / "test_files" / "MR_small.dcm").read_bytes(), FileKind.DICOM, 2200),
    "big endian": ((BUNDLED / "test_files" / "MR_small_bigendian.dcm").read_bytes(), FileKind.DICOM, 1500),
    "RLE": ((BUNDLED / "test_files" / "SC_rgb_rle.dcm").read_bytes(), FileKind.DICOM, None),
    "deflated": ((BUNDLED / "test_files" / "image_dfl.dcm").read_bytes(), FileKind.DICOM, None),
    "palette": ((BUNDLED / "test_files" / "examples_palette.dcm").read_bytes(), FileKind.DICOM, 4000),
    "modality LUT": ((STORE / "mlut_18.dcm").read_bytes(), FileKind.DICOM, 3000),
    "VOI LUT": ((STORE / "vlut_04.dcm").read_bytes(), FileKind.DICOM, 3000),
    "JPEG header": ((BUNDLED / "test_files" / "SC_rgb_jpeg_dcmtk.dcm").read_bytes(), FileKind.DICOM, 1200),
    "PNG": (small_png(), FileKind.PNG, None),
    "JPEG": (small_jpeg(), FileKind.JPEG, None),
}


@pytest.mark.parametrize("name", FUZZED)
@given(draw=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_mutated_files(name, draw):
    data, kind, limit = FUZZED[name]
    outcome(draw.draw(mutations(data, limit)), kind)


def test_a_panic_of_the_rle_decoder_is_an_error_like_any_other(make_dicom, render, ramp):
    """The decoder is in Rust, whose panics are no Exception: here a segment that unfolds to too much."""
    ds = make_dicom(ramp)
    ds.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    frame = next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))
    longer = frame[:64] + b"\x81\x00" * 400 + frame[64:]
    ds.PixelData = pydicom.encaps.encapsulate([longer])
    with pytest.raises(RadiographError, match="out of bounds") as caught:
        render(ds)
    assert caught.value.reason is Reason.DECODE_FAILED


def test_an_unforeseen_failure_quotes_nothing(monkeypatch):
    def fail(data: bytes) -> Radiograph:
        raise KeyError("SECRET^PATIENT")

    monkeypatch.setattr(read, "read_dicom", fail)
    with pytest.raises(RadiographError) as caught:
        read_radiograph(b"", FileKind.DICOM)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_error_survives_the_way_between_processes():
    with pytest.raises(RadiographError) as caught:
        read_radiograph(b"", FileKind.PNG)
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (copy.reason, copy.detail) == (caught.value.reason, caught.value.detail)


def test_no_tensorflow_in_a_decoding_process():
    code = (
        "import sys; import cxrbatch.radiographs.read, cxrbatch.radiographs.display, "
        "cxrbatch.radiographs.codecs; "
        "sys.exit(any(m.split('.')[0] in ('tensorflow', 'keras', 'torch', 'openvino') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_blank_image_is_noted(value):
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 30), value, np.uint8)).save(buffer, "PNG")
    assert BLANK_NOTE in read_radiograph(buffer.getvalue(), FileKind.PNG).notes


def test_a_single_other_pixel_is_no_blank_image():
    buffer, pixels = io.BytesIO(), np.zeros((20, 30), np.uint8)
    pixels[3, 4] = 1
    Image.fromarray(pixels).save(buffer, "PNG")
    assert BLANK_NOTE not in read_radiograph(buffer.getvalue(), FileKind.PNG).notes


def test_digest_is_of_the_rendered_pixels_and_their_shape():
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    assert Radiograph(pixels).digest == Radiograph(pixels.copy(), ("a note",)).digest
    assert Radiograph(pixels[:, ::-1]).digest == Radiograph(pixels[:, ::-1].copy()).digest
    others = [pixels + np.uint16(1), pixels.reshape(30, 20), pixels[::-1]]
    assert len({Radiograph(each).digest for each in (pixels, *others)}) == 4
