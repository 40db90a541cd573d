"""What is taken for a film and what for something else, on pydicom's own test files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from cxrbatch.film_check.reading import read_films, read_others


def folder_of(tmp_path: Path, *names: str) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for name in names:
        found = get_testdata_file(name, download=False)
        assert found is not None, name
        shutil.copy(str(found), folder / name)
    return folder


def test_a_chest_film_is_no_other_picture_and_a_limb_no_film(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "RG1_UNCR.dcm", "RG3_UNCR.dcm", "CT_small.dcm")
    films, others = list(read_films(folder)), list(read_others(folder))
    assert [film.name for film in films] == ["RG1_UNCR.dcm"]
    assert {other.name: other.group for other in others} == {"RG3_UNCR.dcm": "CR", "CT_small.dcm": "CT"}
    assert films[0].group  # the patient
    for source in (*films, *others):
        assert source.picture.dtype == np.float32
        assert 0.0 <= source.picture.min() < source.picture.max() <= 1.0


def test_one_image_in_several_encodings_is_read_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "CT_small.dcm")
    assert sorted(other.group for other in read_others(folder)) == ["CT", "MR"]


def test_colour_and_many_frames_are_read_as_one_grey_picture(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "examples_ybr_color.dcm", "examples_rgb_color.dcm")
    shapes = {other.name: other.picture.shape for other in read_others(folder)}
    assert shapes["examples_rgb_color.dcm"] == (240, 320)
    assert set(shapes.values()) == {(240, 320)}


def test_rasters_are_grouped_by_their_folder_and_empty_or_tiny_ones_left_out(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for folder, pixels in {
        "photos": random.integers(0, 256, (80, 60), np.uint8),
        "blank": np.full((80, 60), 7, np.uint8),
        "tiny": random.integers(0, 256, (8, 8), np.uint8),
    }.items():
        (tmp_path / "others" / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "others" / folder / "a.png")
    (tmp_path / "others" / "notes.txt").write_text("no picture")
    assert [other.group for other in read_others(tmp_path / "others")] == ["photos"]


@pytest.mark.realdata
def test_films_without_a_header_are_patients_of_their_own(realdata: Path, tmp_path: Path) -> None:
    for path in sorted((realdata / "nih64" / "images").glob("*.png"))[:3]:
        shutil.copy(path, tmp_path / path.name)
    films = list(read_films(tmp_path))
    assert len({film.group for film in films}) == len(films) == 3
