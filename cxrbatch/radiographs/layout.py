"""The Image Pixel module (PS3.3 C.7.6.3) as plain numbers, checked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from cxrbatch.intake.reasons import Reason
from cxrbatch.radiographs.header_values import read_decimal, read_integer, read_text
from cxrbatch.radiographs.limits import require_size
from cxrbatch.radiographs.radiograph import RadiographError


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How the pixel data are laid out; every field holds a value that makes sense."""

    rows: int
    columns: int
    samples: int
    planar: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    notes: tuple[str, ...] = ()


def read_layout(ds: Dataset) -> PixelLayout:
    """The layout of a single-frame image. A value that may be left out gets its usual one, with a note
    where that is a guess.

    Raises `RadiographError`: ``multiframe``, ``too_large``, or ``decode_failed`` naming the element.
    """
    frames = read_integer(ds, "NumberOfFrames")
    if frames is not None and frames > 1:
        raise RadiographError(Reason.MULTIFRAME, f"The file holds {frames} frames; single images are scored.")
    rows, columns = _required(ds, "Rows"), _required(ds, "Columns")
    samples = _within(ds, "SamplesPerPixel", (1, 3), default=1)
    require_size(rows, columns, samples)
    allocated = _within(ds, "BitsAllocated", (1, 8, 16, 32, 64))
    stored = _within(ds, "BitsStored", range(1, allocated + 1), default=allocated)
    notes: list[str] = []
    return PixelLayout(
        rows,
        columns,
        samples,
        planar=_within(ds, "PlanarConfiguration", (0, 1), default=0) if samples == 3 else 0,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=_high_bit(ds, allocated, stored, notes),
        signed=_within(ds, "PixelRepresentation", (0, 1), default=0) == 1,
        photometric=_photometric(ds, samples, notes),
        notes=tuple(notes),
    )


def _required(ds: Dataset, keyword: str) -> int:
    value = read_integer(ds, keyword)
    if value is None:
        raise RadiographError(Reason.DECODE_FAILED, f"The header gives no usable {keyword}.")
    return value


def _within(ds: Dataset, keyword: str, allowed: tuple[int, ...] | range, default: int | None = None) -> int:
    if default is not None and read_decimal(ds, keyword).value is None:
        return default
    value = _required(ds, keyword)
    if value not in allowed:
        raise RadiographError(Reason.DECODE_FAILED, f"{keyword} is {value}, which no image here can have.")
    return value


def _high_bit(ds: Dataset, allocated: int, stored: int, notes: list[str]) -> int:
    value = read_integer(ds, "HighBit")
    if value is None:
        return stored - 1
    if stored - 1 <= value < allocated:
        return value
    notes.append(f"HighBit {value} does not fit {stored} stored bits; the lowest bits were taken.")
    return stored - 1


def _photometric(ds: Dataset, samples: int, notes: list[str]) -> str:
    named = read_text(ds, "PhotometricInterpretation")
    one = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"}
    three = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
    if named in (one if samples == 1 else three):
        return named
    assumed = "MONOCHROME2" if samples == 1 else "RGB"
    notes.append(f"PhotometricInterpretation is missing or unknown; {assumed} was assumed.")
    return assumed
