"""Synthetic films for intake: a valid CR chest PA of 8x6 pixels, with whatever a test changes in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from cxrbatch.intake.records import SourceFile

STUDY = "1.2.826.0.1.3680043.8.498.1"


def chest_film(**changes: Any) -> Dataset:
    """A chest film; a change to None removes the element."""
    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    film.SOPInstanceUID = generate_uid(entropy_srcs=["intake"])
    film.StudyInstanceUID = STUDY
    film.SeriesInstanceUID = STUDY + ".1"
    film.Modality = "CR"
    film.BodyPartExamined = "CHEST"
    film.ViewPosition = "PA"
    film.ImageType = ["DERIVED", "PRIMARY"]
    film.Rows, film.Columns = 8, 6
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.PhotometricInterpretation = "MONOCHROME2"
    film.PixelData = bytes(8 * 6 * 2)
    for keyword, value in changes.items():
        if value is None:
            delattr(film, keyword)
        else:
            setattr(film, keyword, value)
    return film


def write(film: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian, preamble: bool = True) -> Path:
    """Writes a dataset, encoded as `syntax` says (its pixel data as it is)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = film.get("SOPClassUID", "1.2.3")
    meta.MediaStorageSOPInstanceUID = film.get("SOPInstanceUID", "1.2.3.4")
    if preamble:
        film.file_meta = meta
        film.save_as(path, enforce_file_format=True)
    else:
        film.save_as(
            path,
            implicit_vr=syntax == "1.2.840.10008.1.2",
            little_endian=syntax != "1.2.840.10008.1.2.2",
        )
    return path


def source_of(path: str | os.PathLike[str]) -> SourceFile:
    found = os.stat(path)
    return SourceFile(os.path.abspath(path), found.st_size, found.st_mtime_ns, found.st_ino)


@pytest.fixture
def make_film() -> Callable[..., Dataset]:
    """Makes a chest film; its keyword arguments change elements, or remove them if None."""
    return chest_film


@pytest.fixture
def write_film() -> Callable[..., Path]:
    """``write_film(film, path, syntax, preamble)`` writes a dataset and gives the path."""
    return write


@pytest.fixture
def to_source() -> Callable[..., SourceFile]:
    """The source record of a path."""
    return source_of


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., SourceFile]:
    """Writes a chest film with changes, and gives its source."""

    def save_film(name: str = "film.dcm", syntax: str = ExplicitVRLittleEndian, **changes: Any) -> SourceFile:
        return source_of(write(chest_film(**changes), tmp_path / name, syntax))

    return save_film
