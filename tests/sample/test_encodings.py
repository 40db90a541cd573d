import io

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless

from cxrbatch.sample.dicom_film import Place, Sitter, dicom_bytes, uid
from cxrbatch.sample.encodings import ENCODINGS, PROCESSING, Encoding, Tone, padded_edges

SITTER = Sitter("PHANTOM-0001", "Фантом^Борис", ("ISO_IR 192",), "M", 61)
PLACE = Place(uid("study"), uid("series"), uid("image"), "PH1", "20240105")


def film() -> np.ndarray:
    """A ramp that holds every display value, 0 and 1 included."""
    return np.linspace(0, 1, 60 * 50, dtype=np.float32).reshape(60, 50)


def read(encoding: Encoding) -> pydicom.FileDataset:
    ds = pydicom.dcmread(io.BytesIO(dicom_bytes(film(), encoding, SITTER, PLACE, "PA")), force=True)
    if encoding.bare:
        assert "TransferSyntaxUID" not in ds.file_meta
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


@pytest.mark.parametrize(
    "encoding", ENCODINGS, ids=lambda e: f"{e.transfer_syntax.keyword}-{e.tone}-{e.bits}"
)
def test_pydicom_gets_the_film_back_from_every_encoding(encoding: Encoding) -> None:
    ds = read(encoding)
    values = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds).astype(float)
    shown = (values - values.min()) / (values.max() - values.min())
    if ds.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    rows, cols = padded_edges(*film().shape) if encoding.tone is Tone.PADDING else (0, 0)
    kept = slice(rows, None), slice(None, film().shape[1] - cols)
    # One step of 10 bits is 0.001; where padding is the lowest value, the film starts a little above it.
    # A VOI LUT is steep at its dark end, where a step counts for more.
    tolerance = 0.01 if encoding.tone is Tone.VOI_LUT else 0.003
    assert np.abs(shown - film())[kept].max() < tolerance


@pytest.mark.parametrize(
    "encoding", ENCODINGS, ids=lambda e: f"{e.transfer_syntax.keyword}-{e.tone}-{e.bits}"
)
def test_the_header_says_what_is_in_the_pixels(encoding: Encoding) -> None:
    ds = read(encoding)
    assert ds.file_meta.TransferSyntaxUID == encoding.transfer_syntax
    assert (ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (16, encoding.bits, encoding.bits - 1)
    assert int(ds.pixel_array.max()) < 1 << encoding.bits
    assert ds.Modality == encoding.modality
    assert ("PixelPaddingValue" in ds) == (encoding.tone is Tone.PADDING)
    assert ("VOILUTSequence" in ds) == (encoding.tone is Tone.VOI_LUT)
    assert ("WindowCenter" in ds) == (encoding.tone in (Tone.WINDOW, Tone.RESCALE))
    if encoding.modality == "DX":
        assert ds.PresentationLUTShape == ("INVERSE" if encoding.inverted else "IDENTITY")


def test_padding_stands_apart_from_the_picture() -> None:
    encoding = next(e for e in ENCODINGS if e.tone is Tone.PADDING)
    ds = read(encoding)
    rows, cols = padded_edges(*film().shape)
    padding = ds.pixel_array == ds.PixelPaddingValue
    assert padding[:rows].all()
    assert padding[:, -cols:].all()
    assert not padding[rows:, :-cols].any()


def test_the_set_holds_what_an_inbox_holds() -> None:
    assert {e.bits for e in ENCODINGS} == {10, 12, 14, 15, 16}
    assert {e.modality for e in ENCODINGS} == {"DX", "CR"}
    assert {e.inverted for e in ENCODINGS} == {False, True}
    assert {e.transfer_syntax.keyword for e in ENCODINGS} == {
        "ExplicitVRLittleEndian",
        "ImplicitVRLittleEndian",
        "ExplicitVRBigEndian",
        "DeflatedExplicitVRLittleEndian",
        "RLELossless",
        "JPEG2000Lossless",
    }
    assert {e.tone for e in ENCODINGS} == set(Tone) - {Tone.RAW}
    assert any(e.bare for e in ENCODINGS)
    assert any(e.silent for e in ENCODINGS)


def test_raw_data_say_so() -> None:
    ds = read(PROCESSING)
    assert ds.PresentationIntentType == "FOR PROCESSING"
    assert ds.SOPClassUID.name == "Digital X-Ray Image Storage - For Processing"
    assert ds.file_meta.TransferSyntaxUID == JPEG2000Lossless


def test_the_same_words_give_the_same_uid_and_others_another() -> None:
    assert uid(1, "a") == uid(1, "a") != uid(1, "b")
    assert pydicom.uid.UID(uid(1, "a")).is_valid
