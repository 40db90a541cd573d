"""Identifiers planted in files, headers and names, searched for in every byte that a run writes or says.

The same search over a run without ``--deidentify`` finds them, which shows that it can.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset, FileMetaDataset

from cxrbatch import night
from cxrbatch.deidentification.names import KeyedNames
from cxrbatch.ledger.run_folder import RunFolderError
from cxrbatch.reporting.content import ReportSettings
from cxrbatch.request import Deidentify, Request

Search = Callable[..., set[tuple[str, str]]]

UID_ROOT = "1.2.826.0.1.9999777"
STUDY = f"{UID_ROOT}.1"
MTIME_NS = 1_709_177_777_123_456_789
NAMES = (
    b"Zebra",
    b"Quagga",
    "Žebřík".encode(),
    b"MRNQX77",
    b"ACQX88",
    b"Okapiklinik",
    b"Bongoward",
    b"Nilgai",
)
WHEN = (
    *(b"20240229", b"2024-02-29", b"29.02.2024", b"02/29/2024", b"29 Feb 2024", b"Feb 29", b"2024022"),
    *(b"19500314", b"1950-03-14", b"14.03.1950", b"031415", b"03:14"),
)
PLANTED = (*NAMES, *WHEN, UID_ROOT.encode())

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def _film(path: Path, seed: int, sop_class: str = DX, **changes: object) -> None:
    """A small noisy 'film' whose header says all that a header can say of a person."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{UID_ROOT}.3.{seed}"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, f"{UID_ROOT}.2"
    ds.PatientName, ds.PatientID = "Zebra^Quagga=Žebřík", "MRNQX77"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19500314", "F", "073Y"
    ds.OtherPatientIDs, ds.PatientAddress = "MRNQX77b", "Zebra street 1"
    ds.AccessionNumber, ds.InstitutionName = "ACQX88", "Okapiklinik"
    ds.ReferringPhysicianName = ds.OperatorsName = "Nilgai^Doctor"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240229"
    ds.StudyTime = ds.ContentTime = "031415"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "DX", "CHEST", "PA"
    ds.Manufacturer = "Zebra Imaging"
    ds.PresentationIntentType, ds.BurnedInAnnotation = "FOR PRESENTATION", "NO"
    ds.StudyDescription = ds.SeriesDescription = "Film of Zebra"
    ds.Rows = ds.Columns = 64
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = np.random.default_rng(seed).integers(0, 256, (64, 64), np.uint8).tobytes()
    for keyword, value in changes.items():
        if keyword == "TransferSyntaxUID":
            ds.file_meta.TransferSyntaxUID = value
        else:
            setattr(ds, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, ds, implicit_vr=False, little_endian=True, enforce_file_format=True)
    os.utime(path, ns=(MTIME_NS, MTIME_NS))


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a careless export may hold: names in folders, headers, free texts, PNG texts and EXIF."""
    top = tmp_path_factory.mktemp("in")
    ward = top / "Bongoward" / "Zebra^Quagga"
    _film(ward / "MRNQX77-1.dcm", 1)
    shutil.copy2(ward / "MRNQX77-1.dcm", ward / "MRNQX77-2.dcm")  # a duplicate
    _film(ward / f"{UID_ROOT}.3.4", 4, PatientID="", PatientAge="", BodyPartExamined="Zebragram")
    _film(ward / "captured.dcm", 5, SECONDARY_CAPTURE, BurnedInAnnotation="YES")
    _film(ward / "fog.dcm", 6, SECONDARY_CAPTURE, BurnedInAnnotation="", ConversionType="DF")
    _film(ward / "hand.dcm", 7, BodyPartExamined="HAND of Zebra's")
    _film(ward / "side.dcm", 8, ViewPosition="LATERAL, 'Quagga'")
    _film(ward / "shot.dcm", 9, SeriesDescription="Screenshot of Zebra^Quagga MRNQX77 20240229")
    _film(ward / "syntax.dcm", 10)
    meta = pydicom.dcmread(ward / "syntax.dcm")
    raw = (ward / "syntax.dcm").read_bytes()
    assert meta.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    (ward / "syntax.dcm").write_bytes(raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.826.0.1.9999777\0", 1))
    _film(ward / "class.dcm", 11, f"{UID_ROOT}.99", Modality="ZEBRA")
    _film(ward / "short.dcm", 12, PixelData=b"Zebra " * 4)
    _film(ward / "modality.dcm", 13, Modality="CT")
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "Zebra^Quagga MRNQX77 20240229")
    grey = np.random.default_rng(20).integers(0, 256, (90, 80), np.uint8)
    Image.fromarray(grey).save(ward / "Zebra Quagga 2024-02-29.png", pnginfo=words)
    exif = Image.Exif()
    exif[0x010E], exif[0x0132] = "Zebra^Quagga MRNQX77", "2024:02:29 03:14:15"
    Image.fromarray(grey[::-1]).save(ward / "Zebra.jpg", exif=exif, comment=b"Quagga ACQX88")
    (ward / "Zebra.txt").write_text("Zebra^Quagga")
    (ward / "Zebra broken.dcm").write_bytes(b"Zebra^Quagga \0\1\2" * 9)
    (ward / "link.dcm").symlink_to("/mnt/Okapiklinik/Zebra.dcm")
    for path in ward.iterdir():
        if not path.is_symlink():
            os.utime(path, ns=(MTIME_NS, MTIME_NS))
    return top / "Bongoward"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with a key file, of a hospital whose own name is planted as well."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "c.toml").write_text(
        '[hospital]\nname = "Okapiklinik"\n[patient_data]\nkey_file = "keys/site.key"\n', encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def labels(inbox: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels by file name and by the end of a path, and one that belongs to no file."""
    path = tmp_path_factory.mktemp("labels") / "Zebra labels.csv"
    rows = [
        ["path", "patient_id", "sex", "site", "Effusion", "Mass"],
        [f"Zebra^Quagga/{UID_ROOT}.3.4", "", "F", "Okapiklinik", "1", "0"],
        ["Zebra^Quagga/captured.dcm", "MRNQX77", "F", "Okapiklinik", "0", "1"],
        ["Zebra^Quagga/Zebra Quagga 2024-02-29.png", "", "M", "Okapiklinik", "1", "0"],
        ["Zebra^Quagga/Zebra.jpg", "MRNQX77", "F", "Zebra", "0", "1"],
        ["Nilgai/MRNQX77-unknown.dcm", "MRNQX77", "F", "Zebra", "0", "1"],
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def _command(command: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "cxrbatch", command, *map(str, arguments)]


def _run(command: str, *arguments: object, code: int) -> str:
    done = subprocess.run(
        _command(command, *arguments), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def run(inbox: Path, site: Path, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A de-identified run with all its pages and a validation; what it said lies beside it."""
    folder = tmp_path_factory.mktemp("out") / "run"
    said = _run(
        "score",
        inbox,
        "--out",
        folder,
        "--config",
        site / "c.toml",
        "--deidentify",
        "--labels",
        labels,
        code=3,
    )
    (folder.parent / "said.txt").write_text(said, encoding="utf-8")
    return folder


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _crosswalk(site: Path) -> dict[tuple[str, str], str]:
    with closing(sqlite3.connect(site / "keys" / "site.key.crosswalk.db")) as database:
        return {
            (kind, value): pseudonym
            for kind, pseudonym, value in database.execute("SELECT kind, pseudonym, value FROM crosswalk")
        }


def _also_planted(inbox: Path) -> list[bytes]:
    """What could be looked up: plain hashes of UIDs, paths and contents, and the files' times and inodes."""
    words = [hashlib.sha256(f"uid:{STUDY}".encode()).hexdigest()[:20].encode()]
    for path in inbox.rglob("*"):
        if path.is_file():
            words.append(hashlib.sha256(path.read_bytes()).hexdigest().encode())
            words.append(hashlib.sha256(bytes(path)).hexdigest()[:12].encode())
            words.append(hashlib.sha256(b"file:" + bytes(path)).hexdigest()[:20].encode())
    return [*words, str(MTIME_NS).encode(), struct.pack(">q", MTIME_NS)]


def test_nothing_planted_is_in_any_byte_of_the_run(found_in: Search, run: Path, inbox: Path) -> None:
    assert (run / "audit.pdf").exists()
    assert list(run.glob("reports/*/report.pdf"))
    assert found_in(run, (*PLANTED, *_also_planted(inbox))) == set()


def test_nothing_planted_was_said(run: Path) -> None:
    said = (run.parent / "said.txt").read_bytes()
    assert b"images" in said
    assert [word for word in (*PLANTED, STUDY.encode()) if word.lower() in said.lower()] == []


def test_the_key_is_nowhere(found_in: Search, run: Path, site: Path) -> None:
    key = (site / "keys" / "site.key").read_bytes().strip()
    assert found_in(run.parent, [key, bytes.fromhex(key.decode())]) == set()


def test_the_search_finds_what_is_there(found_in: Search, inbox: Path, tmp_path: Path) -> None:
    """The same inputs without --deidentify: tables, pages, PDFs and the ledger hold the names."""
    request = Request((str(inbox),), tmp_path / "run", reports=ReportSettings(hospital="Okapiklinik"))
    assert night.score(request).exit_code == 3
    hits = found_in(tmp_path / "run", (*PLANTED, *_also_planted(inbox)))
    for word in (
        *NAMES[:2],
        *NAMES[3:7],
        b"20240229",
        b"2024-02-29",
        UID_ROOT.encode(),
        struct.pack(">q", MTIME_NS),
    ):
        assert any(hit == word.lower().decode("latin-1") for hit, _ in hits), word
    files = {Path(name).name for _, name in hits}
    expected = {
        "scores.csv",
        "studies.csv",
        "rejected.csv",
        "ledger.db",
        "index.html",
        "audit.html",
        "audit.pdf",
    }
    assert expected | {"report.html", "report.pdf", "run.json", "audit.jsonl"} <= files


def test_every_file_is_still_accounted_for(run: Path, inbox: Path) -> None:
    counts = json.loads((run / "run.json").read_text())["counts"]
    files = [path for path in inbox.rglob("*") if not path.is_dir()]
    assert counts["files_found"] == len(files) == 17
    assert (counts["images_scored"], counts["files_rejected"], counts["files_ignored"]) == (7, 9, 1)
    reasons = sorted(row["reason"] for row in _rows(run / "rejected.csv"))
    assert {"duplicate", "not_chest", "not_frontal", "derived_result", "unreadable"} < set(reasons)
    assert {"unsupported_transfer_syntax", "not_a_radiograph"} < set(reasons)


def test_the_crosswalk_leads_back(run: Path, inbox: Path, site: Path) -> None:
    crosswalk = _crosswalk(site)
    by_path = {pseudonym: value for (kind, value), pseudonym in crosswalk.items() if kind == "file"}
    for row in (*_rows(run / "scores.csv"), *_rows(run / "rejected.csv")):
        assert Path(by_path[row["path"]]).is_relative_to(inbox)
    [film] = [r for r in _rows(run / "scores.csv") if by_path[r["path"]].endswith("MRNQX77-1.dcm")]
    assert film["patient_id"] == crosswalk["patient_id", "MRNQX77"]
    assert film["study_uid"] == crosswalk["study_uid", STUDY]
    assert film["image_uid"] == crosswalk["image_uid", f"{UID_ROOT}.3.1"]
    assert film["study_key"] == crosswalk["study_key", STUDY]


def test_labels_are_joined_by_their_real_ids(run: Path) -> None:
    found = json.loads((run / "validation" / "metrics.json").read_text())
    assert found["n_images"] == 4
    assert found["cohort"]["matched"] == 4
    assert (run / "validation" / "validation.pdf").exists()
    # MRNQX77 of the labels, and of the films whose labels do not say; the PNG is nobody's.
    assert found["n_patients"] == 3


def _colours_of(run: Path, row: dict[str, str]) -> int:
    """Grey values in the display picture of an image: noise has all of them."""
    [picture] = [
        path
        for path in (run / "store" / row["study_key"]).glob("*.jpg")
        if path.stem == hashlib.sha256(row["path"].encode()).hexdigest()[:12]
    ]
    return len(np.unique(np.asarray(Image.open(picture))[:8, :8]))


def test_pixels_that_may_hold_a_name_are_left_out(run: Path, site: Path) -> None:
    crosswalk = _crosswalk(site)
    by_name = {Path(v).name: p for (kind, v), p in crosswalk.items() if kind == "file"}
    rows = {row["path"]: row for row in _rows(run / "scores.csv")}
    for name, hidden in (("captured.dcm", True), ("fog.dcm", True), ("MRNQX77-1.dcm", False)):
        row = rows[by_name[name]]
        assert ("The pixels may hold a name" in row["notes"]) is hidden
        assert (_colours_of(run, row) < 5) is hidden


def test_outputs_are_for_their_owner_alone(run: Path) -> None:
    for path in (run, *run.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_rendering_again_brings_no_name_back(
    found_in: Search, run: Path, inbox: Path, site: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(run, again)
    said = _run("report", again, "--config", site / "c.toml", code=0)
    assert found_in(again, (*PLANTED, *_also_planted(inbox))) == set()
    assert not [word for word in NAMES if word in said.encode()]
    _run("doctor", "--verify-audit", again, code=0)


def test_a_killed_run_holds_no_name_and_goes_on(
    found_in: Search, inbox: Path, site: Path, run: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "run"
    more = ("--config", site / "c.toml", "--deidentify", "--reports", "html", "--batch-size", "1")
    process = subprocess.Popen(
        _command("score", inbox, "--out", killed, *more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    _when_scored(killed, process)
    process.kill()
    said = process.communicate(timeout=60)[0]
    assert found_in(killed, (*PLANTED, *_also_planted(inbox))) == set()
    said += _run("score", inbox, "--out", killed, *more, code=3).encode()
    assert found_in(killed, (*PLANTED, *_also_planted(inbox))) == set()
    assert not [word for word in (*PLANTED, STUDY.encode()) if word.lower() in said.lower()]
    for name in ("scores.csv", "studies.csv", "rejected.csv"):  # and it says the same of everything
        theirs, ours = _rows(run / name), _rows(killed / name)
        assert [list(row.values())[:9] for row in ours] == [list(row.values())[:9] for row in theirs]


def _when_scored(run: Path, process: subprocess.Popen) -> None:
    """Wait until the ledger has a scored image."""
    for _ in range(1200):
        if process.poll() is not None:
            raise AssertionError("it ended before it could be killed")
        if list(run.glob("store/*/*.jpg")):
            return
        time.sleep(0.05)
    raise AssertionError("nothing was scored")


def _asked(site: Path) -> Deidentify:
    return Deidentify(site / "keys" / "site.key")


def test_known_studies_are_skipped_under_the_same_key_only(
    inbox: Path, site: Path, run: Path, tmp_path: Path
) -> None:
    film = inbox / "Zebra^Quagga" / "Zebra.jpg"
    pages = ReportSettings(html=False, pdf=False)
    for key, known in ((site / "keys" / "site.key", 1), (tmp_path / "other.key", 0)):
        folder = tmp_path / f"next{known}"
        asked = Deidentify(key)
        night.score(Request((str(film),), folder, deidentify=asked, skip_known=run.parent, reports=pages))
        counts = json.loads((folder / "run.json").read_text())["counts"]
        assert (counts["studies_known"], counts["images_scored"]) == (known, 1 - known)


def test_a_run_is_deidentified_from_beginning_to_end(
    inbox: Path, site: Path, run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    for asked, words in (
        (None, "begun with --deidentify"),
        (Deidentify(tmp_path / "other.key"), "deidentified_with_key"),
        (Deidentify(site / "keys" / "site.key", allow_burned_in=True), "burned_in_left_out"),
    ):
        with pytest.raises(RunFolderError, match=words) as refused:
            night.score(Request((str(inbox),), folder, deidentify=asked))
        assert not [word for word in NAMES if word.decode() in str(refused.value)]


def test_wrong_usage_quotes_no_path(inbox: Path, site: Path, labels: Path, tmp_path: Path) -> None:
    more = ("--config", site / "c.toml", "--deidentify")
    said = _run("score", inbox / "Zebra missing", "--out", tmp_path / "r", *more, code=2)
    twice = tmp_path / "Zebra.csv"
    twice.write_text(labels.read_text() + labels.read_text().splitlines()[1] + "\n", encoding="utf-8")
    said += _run("score", inbox, "--out", tmp_path / "r", *more, "--labels", twice, code=2)
    assert not [word for word in PLANTED if word.lower() in said.lower().encode()]


def test_paths_that_are_no_text_come_back_from_the_crosswalk(site: Path, tmp_path: Path) -> None:
    from cxrbatch.intake.records import SourceFile

    names = KeyedNames(_asked(site), tmp_path / "run")
    path = os.fsdecode(b"/in/\xff\xfe 100%25.dcm")
    shown = names.source(SourceFile(path, 1, 2, 3))
    names.remember(SourceFile(path, 1, 2, 3))
    names.commit()
    names.close()
    later = KeyedNames(_asked(site), tmp_path / "run")
    assert later.real_path(shown.path) == path
    later.close()


def test_pictures_are_written_without_what_came_with_them(run: Path) -> None:
    for path in run.rglob("*.jpg"):
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            assert not picture.getexif()
            assert "comment" not in picture.info
