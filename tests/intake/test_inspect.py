"""Whole files: made here, damaged at random, and the many real and broken ones that pydicom bundles."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset

from cxrbatch.intake.inspect import inspect
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Candidate, FileKind, Ignored, Rejection, SourceFile, View
from cxrbatch.intake.walk import walk

Save = Callable[..., SourceFile]
TEST_FILES = Path(pydicom.data.__file__).parent / "test_files"


def _answer(source: SourceFile) -> Reason | str:
    found = inspect(source)
    assert found.source == source
    if isinstance(found, Rejection):
        assert found.detail.endswith(".")
        return found.reason
    return "ignored" if isinstance(found, Ignored) else "candidate"


def test_a_wrong_charset_is_no_line_in_the_nights_log(save: Save, caplog: pytest.LogCaptureFixture) -> None:
    source = save(PatientName="Roe^Jane", SpecificCharacterSet="NONSENSE 99")
    caplog.clear()
    found = inspect(source)
    assert isinstance(found, Candidate)
    assert found.header.patient.name == "Roe^Jane"
    assert caplog.text == ""


def test_a_chest_film_is_a_candidate_with_its_header(save: Save) -> None:
    source = save(
        PatientName="Yamada^Tarou=山田^太郎",
        SpecificCharacterSet="ISO_IR 192",
        PatientID="42",
        PatientSex="F",
        PatientAge="061Y",
        PatientBirthDate="19600102",
        StudyDate="20240506",
        StudyTime="070809",
        AccessionNumber="A1",
        Manufacturer="ACME",
        InstitutionName="St. Élisabeth",
    )
    found = inspect(source)
    assert isinstance(found, Candidate)
    header, patient = found.header, found.header.patient
    assert (header.kind, header.rows, header.columns) == (FileKind.DICOM, 8, 6)
    assert (header.modality, header.body_part, header.view) == ("CR", "CHEST", View.PA)
    assert (header.study_date, header.study_time, header.accession) == ("20240506", "070809", "A1")
    assert (header.manufacturer, header.institution) == ("ACME", "St. Élisabeth")
    assert header.transfer_syntax == "1.2.840.10008.1.2.1"
    assert (patient.name, patient.id, patient.sex) == ("Yamada^Tarou=山田^太郎", "42", "F")
    assert (patient.age, patient.birth_date) == ("061Y", "19600102")
    assert header.notes == ()
    reference = pydicom.dcmread(source.path)
    assert header.study_uid == reference.StudyInstanceUID
    assert header.series_uid == reference.SeriesInstanceUID
    assert header.image_uid == reference.SOPInstanceUID


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "candidate"),
        ({"ViewPosition": None}, "candidate"),
        ({"BodyPartExamined": "", "ViewPosition": "", "Modality": ""}, "candidate"),
        ({"SOPClassUID": None}, "candidate"),
        ({"NumberOfFrames": ""}, "candidate"),
        ({"NumberOfFrames": 1}, "candidate"),
        ({"StudyInstanceUID": None}, "candidate"),
        ({"Modality": "MR"}, Reason.NOT_A_RADIOGRAPH),
        ({"BodyPartExamined": "HAND"}, Reason.NOT_CHEST),
        ({"ViewPosition": "LL"}, Reason.NOT_FRONTAL),
        ({"ViewPosition": "", "PatientOrientation": ["A", "F"]}, Reason.NOT_FRONTAL),
        ({"PresentationIntentType": "FOR PROCESSING"}, Reason.FOR_PROCESSING),
        ({"NumberOfFrames": 3}, Reason.MULTIFRAME),
        ({"SeriesDescription": "AI result overlay"}, Reason.DERIVED_RESULT),
        ({"PixelData": None}, Reason.PIXEL_DATA_MISSING),
        ({"Rows": None}, Reason.UNREADABLE),
        ({"Rows": 0}, Reason.UNREADABLE),
        ({"Rows": 60000, "Columns": 60000}, Reason.TOO_LARGE),
    ],
)
def test_changes_in_a_header(save: Save, changes: dict[str, Any], expected: Reason | str) -> None:
    assert _answer(save(**changes)) == expected


def test_a_screened_out_film_keeps_its_header(save: Save) -> None:
    found = inspect(save(ViewPosition="LL"))
    assert isinstance(found, Rejection)
    assert found.header is not None
    assert found.header.view is View.LATERAL
    assert found.header.study_uid


def test_unknown_transfer_syntax(save: Save) -> None:
    source = save()
    content = Path(source.path).read_bytes()
    Path(source.path).write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0"))
    assert _answer(source) is Reason.UNSUPPORTED_TRANSFER_SYNTAX


def test_png_and_jpeg(tmp_path: Path, to_source: Callable[..., SourceFile]) -> None:
    for name in ("a.png", "b.jpg"):
        Image.new("L", (30, 20)).save(tmp_path / name)
        found = inspect(to_source(tmp_path / name))
        assert isinstance(found, Candidate)
        assert (found.header.rows, found.header.columns, found.header.view) == (20, 30, View.UNKNOWN)
        assert len(found.header.notes) == 1
    bomb = bytearray((tmp_path / "a.png").read_bytes())
    bomb[16:24] = b"\0\1\0\0\0\1\0\0"  # 65,536 x 65,536
    (tmp_path / "a.png").write_bytes(bomb)
    assert _answer(to_source(tmp_path / "a.png")) is Reason.TOO_LARGE


def test_what_the_system_refuses_is_unreadable(tmp_path: Path) -> None:
    gone = SourceFile(str(tmp_path / "gone.dcm"), 5, 0, 0)
    folder = SourceFile(str(tmp_path), 5, 0, 0)
    assert _answer(gone) is Reason.UNREADABLE
    assert _answer(folder) in (Reason.UNREADABLE, Reason.NOT_AN_IMAGE)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film.dcm")
    assert _answer(SourceFile(str(tmp_path / "film.dcm"), 5, 0, 0)) is Reason.NOT_AN_IMAGE


def test_answers_travel_between_processes(save: Save) -> None:
    for source in (save("a"), save("b", Modality="CT")):
        found = inspect(source)
        assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301


def test_inspecting_imports_no_tensorflow() -> None:
    code = (
        "import sys, cxrbatch.intake.inspect, cxrbatch.intake.studies, cxrbatch.intake.walk;"
        "print({'tensorflow', 'keras', 'openvino', 'torch'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_films_get_an_answer(
    data: st.DataObject,
    make_film: Callable[..., Dataset],
    write_film: Callable[..., Path],
    tmp_path: Path,
    to_source: Callable[..., SourceFile],
) -> None:
    """Bytes changed, cut out and doubled anywhere in any encoding: always an answer, never an error."""
    syntax = data.draw(
        st.sampled_from([f"1.2.840.10008.1.2{suffix}" for suffix in ("", ".1", ".2", ".1.99")])
    )
    original = tmp_path / syntax
    if not original.exists():
        code = Dataset()
        code.CodeValue, code.CodeMeaning = "399348003", "antero-posterior"
        write_film(make_film(ViewCodeSequence=[code], PatientName="A^B"), original, syntax)
    content = bytearray(original.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] = data.draw(st.integers(0, 255))
        else:
            end = data.draw(st.integers(at, min(at + 60, len(content))))
            content[at:end] = content[at:end] * data.draw(st.sampled_from([0, 2]))
        if not content:
            break
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    _answer(to_source(damaged))


EXPECTED = {
    # By reading their headers with dcmdump.
    "CT_small.dcm": Reason.NOT_A_RADIOGRAPH,
    "MR_truncated.dcm": Reason.NOT_A_RADIOGRAPH,
    "MR_small_bigendian.dcm": Reason.NOT_A_RADIOGRAPH,
    "MR_small_implicit.dcm": Reason.NOT_A_RADIOGRAPH,
    "ExplVR_BigEnd.dcm": Reason.NOT_A_RADIOGRAPH,
    "JPEG2000.dcm": Reason.NOT_A_RADIOGRAPH,  # a secondary capture of a bone scan, which says NM
    "UN_sequence.dcm": Reason.NOT_A_RADIOGRAPH,  # only its meta group says that it is a CT
    "priv_SQ.dcm": Reason.NOT_A_RADIOGRAPH,
    "rtdose.dcm": Reason.NOT_A_RADIOGRAPH,
    "badVR.dcm": Reason.NOT_A_RADIOGRAPH,
    "ExplVR_BigEndNoMeta.dcm": Reason.NOT_AN_IMAGE,  # RT plans without preamble
    "ExplVR_LitEndNoMeta.dcm": Reason.NOT_AN_IMAGE,
    "rtplan.dcm": Reason.NOT_AN_IMAGE,
    "rtplan_truncated.dcm": Reason.NOT_AN_IMAGE,
    "rtstruct.dcm": Reason.NOT_AN_IMAGE,
    "waveform_ecg.dcm": Reason.NOT_AN_IMAGE,
    "reportsi.dcm": Reason.DERIVED_RESULT,
    "test-SR.dcm": Reason.DERIVED_RESULT,
    "liver_1frame.dcm": Reason.DERIVED_RESULT,
    "image_dfl.dcm": Reason.DERIVED_RESULT,  # deflated; Modality OT
    "SC_rgb_rle_2frame.dcm": Reason.DERIVED_RESULT,
    "GDCMJ2K_TextGBR.dcm": Reason.DERIVED_RESULT,  # a picture of text; Modality blank
    "no_meta.dcm": Reason.UNREADABLE,  # one byte too many before its first element
    "empty_charset_LEI.dcm": Reason.UNREADABLE,  # two elements and nothing else
    "meta_missing_tsyntax.dcm": Reason.UNREADABLE,  # pixel data of two bytes, and no size
    "nested_priv_SQ.dcm": Reason.UNREADABLE,
    "dicomdirtests/77654033/CR1/6154": Reason.NOT_CHEST,
    "dicomdirtests/DICOMDIR": "ignored",
    "dicomdirtests/DICOMDIR-bigEnd": "ignored",
    "dicomdirtests/DICOMDIR-implicit": "ignored",
    "dicomdirtests/DICOMDIR-empty.dcm": "ignored",
    "dicomdirtests/TINY_ALPHA/README": "ignored",
    "README.txt": "ignored",
    "rtplan.dump": "ignored",
    "zipMR.gz": "ignored",
    "test1.json": "ignored",
    "crayons.icc": "ignored",
}


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items())
def test_files_that_pydicom_bundles(
    name: str, expected: Reason | str, to_source: Callable[..., SourceFile]
) -> None:
    assert _answer(to_source(TEST_FILES / name)) == expected


def test_none_of_pydicoms_other_files_is_a_chest_film_or_raises() -> None:
    answers = {found.path: _answer(found) for found in walk([TEST_FILES]) if isinstance(found, SourceFile)}
    assert len(answers) == sum(len(files) for _, _, files in os.walk(TEST_FILES))
    assert [path for path, answer in answers.items() if answer == "candidate"] == []
    assert {path for path, answer in answers.items() if answer is Reason.UNREADABLE} == {
        str(TEST_FILES / name) for name, expected in EXPECTED.items() if expected is Reason.UNREADABLE
    }


def _pydicom_data() -> Path:
    found = importlib.util.find_spec("data_store")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "data"


@pytest.mark.skipif(importlib.util.find_spec("data_store") is None, reason="pydicom-data is not installed")
def test_pydicom_datas_chest_and_limb(to_source: Callable[..., SourceFile]) -> None:
    films = sorted(_pydicom_data().glob("RG[13]_*.dcm"))
    answers = {film.name: _answer(to_source(film)) for film in films}
    assert answers == {
        **{f"RG1_{kind}.dcm": "candidate" for kind in ("J2KI", "J2KR", "UNCI", "UNCR")},
        **{f"RG3_{kind}.dcm": Reason.NOT_CHEST for kind in ("J2KI", "J2KR", "UNCI", "UNCR")},
    }
    found = inspect(to_source(films[0]))
    assert isinstance(found, Candidate)
    assert (found.header.view, found.header.rows, found.header.columns) == (View.PA, 1955, 1841)
    assert found.header.notes == ()


@pytest.mark.realdata
def test_the_real_chest_radiographs(realdata: Path) -> None:
    for source in walk([realdata / "dicom"]):
        assert isinstance(source, SourceFile)
        found = inspect(source)
        assert isinstance(found, Candidate)
        assert found.header.view is View.PA
