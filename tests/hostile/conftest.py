"""Whole runs over hostile input, as the command line makes them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

Row = dict[str, str]


def film(path: Path, uid: str = "1.2.826.0.1.3680043.8.498.7", **changes: Any) -> Path:
    """A small CR film of a chest at `path`: a ramp of 96 x 80 pixels, with `changes` in its header."""
    ds = Dataset()
    ds.SOPClassUID = ComputedRadiographyImageStorage
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = uid + ".3", uid + ".1", uid + ".2"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "CR", "CHEST", "PA"
    ds.Rows, ds.Columns = 96, 80
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = b"".join(((7 * n * n + len(uid)) % 4096).to_bytes(2, "little") for n in range(96 * 80))
    syntax = changes.pop("syntax", ExplicitVRLittleEndian)
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    if syntax != ExplicitVRLittleEndian:
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that no header should hold: that is the point
        ds.save_as(path, enforce_file_format=True)
    return path


@dataclass(frozen=True)
class Finished:
    """A run that came to its end: the folder, what it printed, and its exit status."""

    run: Path
    stderr: str
    exit_code: int

    def rows(self, name: str) -> list[Row]:
        with (self.run / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @property
    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = json.loads((self.run / "run.json").read_text())["counts"]
        return counts


def score(inbox: Path, run: Path, *options: str) -> Finished:
    """``cxrbatch score`` in a process of its own."""
    command = [sys.executable, "-m", "cxrbatch", "score", str(inbox), "--out", str(run), *options]
    done = subprocess.run(command, capture_output=True, timeout=300, env=os.environ)
    return Finished(run, done.stderr.decode("utf-8", "surrogateescape"), done.returncode)


@pytest.fixture(scope="session")
def write_film() -> Callable[..., Path]:
    return film


@pytest.fixture(scope="session")
def score_night() -> Callable[..., Finished]:
    return score
