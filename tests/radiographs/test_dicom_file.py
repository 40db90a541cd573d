"""Parsing: bounded inflation, nothing but the needed elements, and headers that cannot stop a score."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs import dicom_file
from cxrbatch.radiographs.dicom_file import ELEMENTS, parse_dicom
from cxrbatch.radiographs.radiograph import RadiographError
from cxrbatch.radiographs.read import read_radiograph


def test_patient_data_are_never_read(make_dicom, encode, ramp):
    ds = parse_dicom(encode(make_dicom(ramp)))
    assert {element.keyword for element in ds} <= {*ELEMENTS, "SpecificCharacterSet"}
    assert "SECRET" not in str(ds)


def test_a_character_set_that_does_not_exist_stops_nothing(make_dicom, render, ramp):
    ds = make_dicom(ramp, SpecificCharacterSet="ISO_IR 100")
    ds.add_new("SpecificCharacterSet", "CS", ["KLINGON", "ISO 2022 IR 9999"])
    np.testing.assert_array_equal(render(ds).pixels, render(ramp).pixels)


def deflated(make_dicom, encode, ramp) -> tuple[bytes, bytes]:
    """Head with file meta information, and deflated data set."""
    whole = encode(make_dicom(ramp, transfer_syntax=DeflatedExplicitVRLittleEndian))
    length = 132 + 12 + int.from_bytes(whole[140:144], "little")
    return whole[:length], whole[length:]


def test_an_inflation_bomb_is_too_large(make_dicom, encode, ramp, monkeypatch):
    head, _ = deflated(make_dicom, encode, ramp)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(bytes(50_000_000)) + packer.flush()
    assert len(bomb) < 100_000
    monkeypatch.setattr(dicom_file, "MAX_INFLATED_BYTES", 1_000_000)
    with pytest.raises(RadiographError) as caught:
        read_radiograph(head + bomb, FileKind.DICOM)
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_deflated_file_cut_off(make_dicom, encode, ramp, kept):
    head, body = deflated(make_dicom, encode, ramp)
    with pytest.raises(RadiographError) as caught:
        read_radiograph(head + body[: kept if kept in (0, 10) else int(len(body) * kept)], FileKind.DICOM)
    assert caught.value.reason is Reason.DECODE_FAILED


def test_deflated_rubbish(make_dicom, encode, ramp):
    head, _ = deflated(make_dicom, encode, ramp)
    with pytest.raises(RadiographError, match="damaged"):
        read_radiograph(head + b"\xff" * 1000, FileKind.DICOM)
