"""A folder of files that claim too much, cannot be opened, or are called what no file should be called.

Every one of them is accounted for, none costs another its score, and none is decoded into more memory than
its declared size was checked for.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit
from pypdf import PdfReader

from cxrbatch.csv_cells import original
from cxrbatch.intake.studies import percent_decode

MEGABYTE = 1 << 20
BOMB = 512 * MEGABYTE


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(columns: int, rows: int, *more: bytes, data: bytes | None = None) -> bytes:
    """A grey 8-bit PNG that says `columns` x `rows`, whatever its pixel data are."""
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((columns + 1) * rows)) if data is None else data
    chunks = (png_chunk(b"IHDR", header), *more, png_chunk(b"IDAT", pixels), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def deflated_zeros(size: int) -> bytes:
    """A raw deflate stream that unfolds to `size` zeros: one packed megabyte, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    megabyte = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return megabyte * (size // MEGABYTE) + packer.flush()


def zeros_as_zlib(size: int) -> bytes:
    checksum = (size % 65521) << 16 | 1  # Adler-32 of zeros
    return b"\x78\xda" + deflated_zeros(size) + struct.pack(">I", checksum)


def jpeg(mode: str = "L", size: tuple[int, int] = (80, 96)) -> bytes:
    data = BytesIO()
    picture = Image.effect_noise(size, 60).convert(mode)
    picture.save(data, "JPEG")
    return data.getvalue()


def jpeg_that_says(data: bytes, rows: int, columns: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", rows, columns) + data[at + 4 :]


def jpeg_2000(rows: int, columns: int) -> bytes:
    data = BytesIO()
    Image.fromarray(np.zeros((rows, columns), np.uint8)).save(data, "JPEG2000", no_jp2=True)
    return data.getvalue()


def deflated_dicom(write_film: Callable[..., Path], folder: Path, size: int) -> bytes:
    """A deflated film whose pixel data unfold to `size` bytes more than the header says."""
    plain = write_film(folder / "plain").read_bytes()
    meta_length = struct.unpack_from("<I", plain, 140)[0]
    start = 144 + meta_length
    meta = plain[:start].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    grown = len(meta) - start
    meta = meta[:140] + struct.pack("<I", meta_length + grown) + meta[144:]
    at = meta.index(b"1.2.840.10008.1.2.1.99")
    meta = meta[: at - 2] + struct.pack("<H", 22) + meta[at:]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return meta + packer.compress(plain[start:]) + packer.flush(zlib.Z_FULL_FLUSH) + deflated_zeros(size)


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory, write_film: Callable[..., Path]) -> dict[str, bytes]:
    """Small files that would take gigabytes if anybody believed or unfolded them."""
    folder = tmp_path_factory.mktemp("bombs")
    huge = zeros_as_zlib(BOMB)

    def dicom(**changes: Any) -> bytes:
        return write_film(folder / "film", **changes).read_bytes()

    return {
        "png-huge.png": png(60_000, 60_000, data=huge),
        "png-2to31.png": png(2**31 - 1, 2**31 - 1, data=zlib.compress(b"")),
        "png-2to32.png": png(2**32 - 1, 2**32 - 1, data=zlib.compress(b"")),
        "png-more-data-than-said.png": png(80, 96, data=huge),
        "png-ztxt.png": png(80, 96, png_chunk(b"zTXt", b"Comment\0\0" + huge)),
        "png-itxt.png": png(80, 96, png_chunk(b"iTXt", b"Comment\0\x01\0\0\0" + huge)),
        "png-icc.png": png(80, 96, png_chunk(b"iCCP", b"icc\0\0" + huge)),
        "png-exif.png": png(80, 96, png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 100)),
        "jpeg-65500.jpg": jpeg_that_says(jpeg(), 65500, 65500),
        "jpeg-9999.jpg": jpeg_that_says(jpeg(), 9999, 9999),
        "dicom-65535": dicom(Rows=65535, Columns=65535),
        "dicom-9999": dicom(Rows=9999, Columns=9999),
        "dicom-samples": dicom(SamplesPerPixel=65535),
        "dicom-frames": dicom(NumberOfFrames=2_000_000_000),
        "dicom-bits": dicom(BitsAllocated=64, BitsStored=64, HighBit=63),
        "dicom-no-rows": dicom(Rows=0),
        "dicom-deflated": deflated_dicom(write_film, folder, 2 * BOMB + MEGABYTE),
        "dicom-j2k-larger": dicom(
            PixelData=encapsulate([jpeg_2000(3000, 3000)]), syntax=JPEG2000Lossless, BitsAllocated=8,
            BitsStored=8, HighBit=7,
        ),
        "dicom-jpeg-larger": dicom(
            PixelData=encapsulate([jpeg_that_says(jpeg(), 65500, 65500)]), syntax=JPEGBaseline8Bit,
            BitsAllocated=8, BitsStored=8, HighBit=7,
        ),
    }  # fmt: skip


MEMORY_PROGRAM = """
import resource, sys
from pathlib import Path
from cxrbatch.intake.inspect import inspect
from cxrbatch.intake.records import Candidate, SourceFile
from cxrbatch.radiographs.radiograph import RadiographError
from cxrbatch.radiographs.read import read_radiograph

warm_up = Path(sys.argv[1])
def outcome(path):
    found = inspect(SourceFile(str(path), path.stat().st_size, 0, 0))
    if not isinstance(found, Candidate):
        return type(found).__name__ + " " + str(getattr(found, "reason", ""))
    try:
        read_radiograph(path.read_bytes(), found.header.kind)
    except RadiographError as error:
        return f"RadiographError {error.reason}"
    return "read"

assert outcome(warm_up) == "read"
address_space = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1]) * 1024
limit = address_space + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(Path(sys.argv[3]).iterdir()):
    print(path.name, outcome(path), flush=True)
peak = next(l for l in open("/proc/self/status") if l.startswith("VmPeak")).split()[1]
print("peak", (int(peak) * 1024 - address_space) >> 20, "of", int(sys.argv[2]) >> 20, file=sys.stderr)
"""

EXPECTED = {
    "png-huge.png": "Rejection too_large",
    "png-2to31.png": "Rejection too_large",
    "png-2to32.png": "Rejection too_large",
    "png-more-data-than-said.png": "read",
    "png-ztxt.png": "RadiographError decode_failed",
    "png-itxt.png": "RadiographError decode_failed",
    "png-icc.png": "RadiographError decode_failed",
    "png-exif.png": "read",
    "jpeg-65500.jpg": "Rejection too_large",
    "jpeg-9999.jpg": "read",
    "dicom-65535": "Rejection too_large",
    "dicom-9999": "RadiographError decode_failed",
    "dicom-samples": "RadiographError decode_failed",
    "dicom-frames": "Rejection multiframe",
    "dicom-bits": "RadiographError decode_failed",
    "dicom-no-rows": "Rejection unreadable",
    "dicom-deflated": "Rejection too_large",
    "dicom-j2k-larger": "RadiographError decode_failed",
    "dicom-jpeg-larger": "RadiographError decode_failed",
}


def test_no_bomb_takes_more_memory_than_its_checked_size(
    tmp_path: Path, bombs: dict[str, bytes], write_film: Callable[..., Path]
) -> None:
    """In 640 MB of address space, where one believed header or one unfolded chunk would not fit."""
    folder = tmp_path / "bombs"
    folder.mkdir()
    for name, data in bombs.items():
        (folder / name).write_bytes(data)
    warm_up = write_film(tmp_path / "film.dcm")
    arguments = [str(warm_up), str(640 * MEGABYTE), str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_PROGRAM, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert found == EXPECTED


def odd_names(folder: Path, write_film: Callable[..., Path]) -> list[bytes]:
    """Films and other files with names and places that no file should have; the bytes of their paths."""
    root = os.fsencode(folder)
    deep = root
    while len(deep) < 3800:
        deep += b"/" + b"d" * 200
        os.mkdir(deep)
    deep += b"/" + b"f" * (4000 - len(deep) - 1)
    films = (
        root + b"/two\nlines.dcm",
        root + b"/caf\xe9 \xff\xfe.dcm",
        root + b"/\x1b[31mred\x1b]0;title\x07.dcm",
        root + b"/%41%0A.dcm",
        root + b"/=cmd|' -C calc'!A0;=1+1.dcm",
        root + b"/-rf --out.dcm",
        root + b"/<script>alert(1)<\\script>\"onerror='x'.dcm",
        root + b"/" + "ltr\u202egpj.exe\u2066.dcm".encode(),
        root + b"/" + b"n" * 255,
        deep,
    )
    for number, path in enumerate(films):
        data = write_film(folder / "film.tmp", uid=f"1.2.826.0.1.3680043.8.498.{100 + number}").read_bytes()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, data)
        os.close(descriptor)
    (folder / "film.tmp").unlink()
    return list(films)


def unopenable(folder: Path) -> list[bytes]:
    """What looks like files and is none, or leads nowhere."""
    os.mkfifo(folder / "pipe.dcm")
    (folder / "circle.dcm").symlink_to("circle.dcm")
    (folder / "dangling.dcm").symlink_to("nowhere.dcm")
    (folder / "zero.dcm").symlink_to("/dev/zero")
    (folder / "memory.dcm").symlink_to("/proc/self/mem")  # a regular file, but one that cannot be read
    (folder / "up").symlink_to(folder)
    (folder / "loop").mkdir()
    (folder / "loop" / "back").symlink_to(folder / "loop")
    names = ["pipe.dcm", "circle.dcm", "dangling.dcm", "zero.dcm", "memory.dcm"]
    if os.geteuid() != 0:  # root reads everything
        (folder / "secret.dcm").write_bytes(b"x")
        (folder / "secret.dcm").chmod(0)
        names.append("secret.dcm")
    return [os.fsencode(folder / name) for name in names]


@pytest.fixture(scope="module")
def night(
    tmp_path_factory: pytest.TempPathFactory,
    bombs: dict[str, bytes],
    write_film: Callable[..., Path],
    score_night: Callable[..., Any],
) -> tuple[Any, list[bytes], list[bytes]]:
    """All of it in one night: the finished run, the films that are to be scored, everything else."""
    inbox = tmp_path_factory.mktemp("inbox")
    films = odd_names(inbox, write_film)
    others = unopenable(inbox)
    for name, data in bombs.items():
        (inbox / name).write_bytes(data)
    sparse = write_film(inbox / "sparse.dcm", uid="1.2.826.0.1.3680043.8.498.99")
    os.truncate(sparse, 1 << 40)
    others += [os.fsencode(inbox / name) for name in (*bombs, "sparse.dcm")]
    finished = score_night(inbox, tmp_path_factory.mktemp("out") / "run", "--workers", "2")
    return finished, films, others


def test_every_odd_file_is_accounted_for_once(night: tuple[Any, list[bytes], list[bytes]]) -> None:
    finished, films, others = night
    assert finished.exit_code == 3, finished.stderr
    scored, rejected = (
        [os.fsencode(percent_decode(original(row["path"]))) for row in finished.rows(name)]
        for name in ("scores.csv", "rejected.csv")
    )
    assert sorted(scored + rejected) == sorted(films + others)
    assert set(films) <= set(scored)


def test_odd_files_are_rejected_for_the_right_reason(night: tuple[Any, list[bytes], list[bytes]]) -> None:
    finished, _, _ = night
    reasons = {Path(row["path"]).name: row["reason"] for row in finished.rows("rejected.csv")}
    expected = {name: said.split()[1] for name, said in EXPECTED.items() if said != "read"}
    expected |= {"pipe.dcm": "not_an_image", "zero.dcm": "not_an_image", "sparse.dcm": "too_large"}
    expected |= dict.fromkeys(("circle.dcm", "dangling.dcm", "memory.dcm"), "unreadable")
    assert {name: reasons.get(name) for name in expected} == expected


def test_every_scored_film_has_its_report_under_a_name_of_ours(
    night: tuple[Any, list[bytes], list[bytes]],
) -> None:
    finished, _, _ = night
    for row in finished.rows("studies.csv"):
        assert re.fullmatch(r"[0-9a-f]{20}", row["study_key"])
        folder = finished.run / "reports" / row["study_key"]
        assert (folder / "report.html").is_file()
        assert PdfReader(folder / "report.pdf").pages


def test_no_output_and_no_message_holds_a_control_character(
    night: tuple[Any, list[bytes], list[bytes]],
) -> None:
    finished, _, _ = night
    control = re.compile("[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\u202a-\u202e\u2066-\u2069\udc80-\udcff]")
    texts = {
        p: p.read_text("utf-8") for p in finished.run.rglob("*") if p.suffix in (".csv", ".html", ".json")
    }
    assert len(texts) > 10
    for path, text in texts.items():
        assert not control.search(text), path
    assert not control.search(finished.stderr)
    assert "Traceback" not in finished.stderr
