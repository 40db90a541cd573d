"""Films whose lower part is missing are told from whole ones, through the decoders that let them pass."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.cut_off import cut_off_notes
from cxrbatch.radiographs.read import read_radiograph


def _film(rows: int = 200, columns: int = 160) -> np.ndarray:
    small = np.random.default_rng(7).integers(20, 236, (25, 20), np.uint8)
    return np.asarray(Image.fromarray(small).resize((columns, rows), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("value", [0, 30000, 65535])
@pytest.mark.parametrize(
    ("blank", "is_told"), [(0, False), (50, False), (60, True), (100, True), (199, True)]
)
def test_blank_lower_part_is_told_from_thirty_percent_on(value: int, blank: int, is_told: bool) -> None:
    pixels = _film().astype(np.uint16) * 257
    pixels[200 - blank :] = value
    notes = cut_off_notes(pixels)
    assert bool(notes) is is_told
    if is_told:
        assert f"lowest {blank // 2} %" in notes[0]


def test_film_of_one_value_is_not_cut_off() -> None:
    assert cut_off_notes(np.full((50, 40), 7, np.uint16)) == ()


def test_dark_ground_with_noise_is_not_blank() -> None:
    pixels = _film().astype(np.uint16) * 257
    pixels[80:] = np.random.default_rng(0).integers(0, 3, (120, 160))
    assert cut_off_notes(pixels) == ()


def test_jpeg_that_lost_half_its_scan_and_still_has_an_end() -> None:
    buffer = BytesIO()
    Image.fromarray(_film(512, 512)).save(buffer, "JPEG", quality=90)
    whole = buffer.getvalue()
    assert read_radiograph(whole, FileKind.JPEG).notes == ()
    film = read_radiograph(whole[: len(whole) // 2] + b"\xff\xd9", FileKind.JPEG)
    assert film.pixels.shape == (512, 512)
    assert any("may be missing" in note for note in film.notes)


def test_jpeg_in_dicom_that_lost_half_its_scan_and_still_has_an_end() -> None:
    buffer = BytesIO()
    Image.fromarray(_film(512, 512)).save(buffer, "JPEG", quality=90)
    whole = buffer.getvalue()
    film = read_radiograph(_dicom(whole[: len(whole) // 2] + b"\xff\xd9", 512), FileKind.DICOM)
    assert any("may be missing" in note for note in film.notes)
    assert not any("may be missing" in n for n in read_radiograph(_dicom(whole, 512), FileKind.DICOM).notes)


def _dicom(frame: bytes, side: int) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.Rows = dataset.Columns = side
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = encapsulate([frame])
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.realdata
def test_real_films_are_not_taken_for_cut_off(realdata: Path) -> None:
    told = [
        path.name
        for path in sorted((realdata / "nih" / "images").iterdir())[:150]
        if any("may be missing" in note for note in read_radiograph(path.read_bytes(), FileKind.PNG).notes)
    ]
    assert told == []
