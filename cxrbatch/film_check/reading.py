"""Pictures from folders: films to learn what is right, and whatever else to learn what is not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from cxrbatch.film_check.pictures import Picture
from cxrbatch.intake.content import HEAD_BYTES, OtherFile, sniff
from cxrbatch.intake.inspect import inspect
from cxrbatch.intake.quiet import quiet_decoders
from cxrbatch.intake.records import Candidate, FileKind, Rejection, SourceFile
from cxrbatch.intake.walk import walk
from cxrbatch.radiographs.radiograph import RadiographError
from cxrbatch.radiographs.read import read_radiograph

LEAST_SIDE = 40
"""Pixels of the shorter side below which a picture shows nothing."""

_ALIKE = 0.93
"""Correlation of thumbnails from which on two pictures are one: test files come in many encodings."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One picture. `group` must not be on both sides of a split: a patient, or a kind of image."""

    name: str
    group: str
    picture: Picture


def read_films(folder: Path) -> Iterator[Source]:
    """Every film below `folder` that a night would score: `group` is the patient, as the header has it, else
    the file. Raises InputNotFoundError."""
    for source in _files(folder):
        found = inspect(source)
        if not isinstance(found, Candidate):
            continue
        picture = _decoded(Path(source.path), found.header.kind)
        if picture is not None:
            yield Source(Path(source.path).name, found.header.patient.id or source.path, picture)


def read_others(folder: Path) -> Iterator[Source]:
    """Every picture below `folder` that a night would not take for a frontal chest film by its header, and
    every PNG and JPEG: `group` is the modality, or the name of the file's folder.

    Of pictures that look the same one is kept. Raises InputNotFoundError.
    """
    seen: list[Picture] = []
    for source in _files(folder):
        path = Path(source.path)
        kind = _kind(path, source.size)
        if kind is None or (kind is FileKind.DICOM and isinstance(inspect(source), Candidate)):
            continue
        picture = _decoded(path, kind)
        if picture is None and kind is FileKind.DICOM:
            picture = _any_frame(path)
        if picture is None or min(picture.shape) < LEAST_SIDE or np.ptp(picture) == 0.0:
            continue
        thumbnail = _thumbnail(picture)
        if any(float(np.mean(thumbnail * other)) > _ALIKE for other in seen):
            continue
        seen.append(thumbnail)
        yield Source(path.name, _modality(path) if kind is FileKind.DICOM else path.parent.name, picture)


def _files(folder: Path) -> Iterator[SourceFile]:
    found = (entry for entry in walk([str(folder)]) if not isinstance(entry, Rejection))
    yield from sorted(found, key=lambda source: source.path)


def _kind(path: Path, size: int) -> FileKind | None:
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD_BYTES), path.name, size)
    return None if isinstance(kind, OtherFile) else kind


def _decoded(path: Path, kind: FileKind) -> Picture | None:
    """As a night would decode it; None where it would not."""
    try:
        return read_radiograph(path.read_bytes(), kind).pixels.astype(np.float32) / 65535.0
    except RadiographError:
        return None


def _any_frame(path: Path) -> Picture | None:
    """The middle frame of anything that pydicom decodes, its values stretched from 0 to 1."""
    try:
        with warnings.catch_warnings(), quiet_decoders():
            warnings.simplefilter("ignore")
            frames = np.asarray(pydicom.dcmread(path, force=True).pixel_array, np.float32)
    except Exception:  # a file that cannot be decoded, whatever it raises, is one picture fewer to learn from
        return None
    if frames.ndim == 4 or (frames.ndim == 3 and frames.shape[-1] != 3):
        frames = frames[len(frames) // 2]
    grey = frames.mean(axis=-1) if frames.ndim == 3 else frames
    low, high = np.percentile(grey, (0.5, 99.5))
    return None if high <= low else np.clip((grey - low) / (high - low), 0.0, 1.0).astype(np.float32)


def _modality(path: Path) -> str:
    with quiet_decoders():
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=["Modality"])
    return str(header.get("Modality") or "none")


def _thumbnail(picture: Picture) -> Picture:
    small = np.asarray(Image.fromarray(picture).resize((24, 24), Image.Resampling.BILINEAR), np.float32)
    return (small - small.mean()) / (small.std() + 1e-6)
