"""Studies to measure with: phantoms of one size, as DICOM, in the transfer syntax wanted. Nobody's films."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian

from cxrbatch.sample.dicom_film import Place, Sitter, dicom_bytes, uid
from cxrbatch.sample.encodings import Encoding, Tone
from cxrbatch.sample.phantom import frontal

SIZE = (1955, 1841)
"""Rows and columns: those of the real CR film in pydicom's test data."""
BODIES = 6
"""Different phantoms; further studies are the same bodies under other noise."""
FINDINGS = ((), ("Effusion",), ("Cardiomegaly",), ("Pneumothorax",), ("Mass", "Nodule"), ("Consolidation",))


def write_studies(
    folder: Path,
    count: int,
    syntax: UID = ExplicitVRLittleEndian,
    bits: int = 16,
    size: tuple[int, int] = SIZE,
    bodies: int = BODIES,
) -> list[Path]:
    """`count` studies of one frontal film each, of `size` pixels with `bits` stored bits in 16.

    Fewer than 16 bits come with a window, as most films do, and 16 without.
    """
    folder.mkdir(parents=True, exist_ok=True)
    films = [frontal(seed, size, findings=FINDINGS[seed]).film for seed in range(min(bodies, count))]
    encoding = Encoding(syntax, bits, Tone.PLAIN if bits == 16 else Tone.WINDOW)
    paths = []
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, 1e-3, size).astype(np.float32)
        film = np.clip(films[number % len(films)] + noise, 0, 1)
        names = [uid("benchmark", what, number) for what in ("study", "series", "image")]
        place = Place(*names, accession=f"B{number:05}", date="20260102")
        sitter = Sitter(f"PHANTOM-{number:04}", "Phantom^Nobody", ("ISO_IR 192",), "F", 40 + number % 40)
        paths.append(folder / f"{number:04}.dcm")
        paths[-1].write_bytes(dicom_bytes(film, encoding, sitter, place, "PA"))
    return paths


def as_jpeg_lossless(paths: list[Path], folder: Path) -> list[Path] | None:
    """The same films as JPEG lossless (first-order prediction) by DCMTK's ``dcmcjpeg``; None without it."""
    program = shutil.which("dcmcjpeg")
    if program is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for path in paths:
        made.append(folder / path.name)
        subprocess.run([program, "+e1", path, made[-1]], check=True, capture_output=True)
        _require_syntax(made[-1], "1.2.840.10008.1.2.4.70")
    return made


def _require_syntax(path: Path, uid: str) -> None:
    found = dcmread(BytesIO(path.read_bytes()), stop_before_pixels=True).file_meta.TransferSyntaxUID
    if found != uid:
        raise SystemExit(f"{path.name} has transfer syntax {found}, expected {uid}.")
