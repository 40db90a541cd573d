"""Grouping, keys and paths as text."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.intake.records import Candidate, FileKind, ImageHeader, SourceFile
from cxrbatch.intake.studies import group, percent_decode, percent_encode, study_key


def _image(path: str, kind: FileKind = FileKind.DICOM, uid: str = "") -> Candidate:
    return Candidate(SourceFile(path, 1, 1, 1), ImageHeader(kind, 8, 6, study_uid=uid))


def test_dicom_is_grouped_by_uid_and_sorted() -> None:
    images = [
        _image("/b/2", uid="1.2"),
        _image("/a/é", uid="1.2"),
        _image("/a/z", uid="1.2"),
        _image("/c", uid="1.3"),
    ]
    studies = group(images)
    assert [study.key for study in studies] == sorted(study.key for study in studies)
    by_uid = {study.uid: [image.source.path for image in study.images] for study in studies}
    assert by_uid == {"1.2": ["/a/z", "/a/é", "/b/2"], "1.3": ["/c"]}
    assert group(reversed(images)) == studies


def test_keys_are_as_documented() -> None:
    assert study_key(_image("/x", uid="1.2")) == hashlib.sha256(b"uid:1.2").hexdigest()[:20]
    latin = os.fsdecode(b"/caf\xe9.png")
    assert study_key(_image(latin, FileKind.PNG)) == hashlib.sha256(b"file:/caf\xe9.png").hexdigest()[:20]
    assert (
        study_key(_image("/a/1.png", FileKind.PNG), "folder") == hashlib.sha256(b"folder:/a").hexdigest()[:20]
    )


def test_dicom_without_uid_is_a_study_of_its_own() -> None:
    assert [len(study.images) for study in group([_image("/a"), _image("/b")], "folder")] == [1, 1]


def test_png_and_jpeg_are_studies_of_their_own_or_of_their_folder() -> None:
    images = [
        _image("/p/1.png", FileKind.PNG),
        _image("/p/2.jpg", FileKind.JPEG),
        _image("/q/3.png", FileKind.PNG),
        _image("/p/4.dcm", uid="1.2"),
    ]
    assert sorted(len(study.images) for study in group(images)) == [1, 1, 1, 1]
    folders = {tuple(image.source.path for image in study.images) for study in group(images, "folder")}
    assert folders == {("/p/1.png", "/p/2.jpg"), ("/q/3.png",), ("/p/4.dcm",)}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"/in/film.dcm", "/in/film.dcm"),
        ("/in/胸.dcm".encode(), "/in/胸.dcm"),
        (b"/in/caf\xe9", "/in/caf%E9"),
        (b"/in/50%.dcm", "/in/50%.dcm"),
        (b"/in/caf%E9", "/in/caf%25E9"),
        (b"/in/%\xff", "/in/%%FF"),
    ],
)
def test_paths_as_text(raw: bytes, text: str) -> None:
    assert percent_encode(os.fsdecode(raw)) == text
    assert os.fsencode(percent_decode(text)) == raw


@given(
    st.lists(st.sampled_from([b"%", b"2", b"5", b"F", b"\xff", b"\xc3", b"\xa9", b"/", b"g"])).map(b"".join)
)
def test_any_path_comes_back(raw: bytes) -> None:
    text = percent_encode(os.fsdecode(raw))
    assert text.encode("utf-8").decode("utf-8") == text
    assert os.fsencode(percent_decode(text)) == raw


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_different_paths_stay_different(one: bytes, other: bytes) -> None:
    assert (percent_encode(os.fsdecode(one)) == percent_encode(os.fsdecode(other))) == (one == other)
