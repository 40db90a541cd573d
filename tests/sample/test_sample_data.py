"""The committed cohort is what `cxrbatch sample` writes today."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrbatch.sample.cohort import write_cohort

COMMITTED = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort written anew by the very command that the committed README names."""
    readme = (COMMITTED / "README.txt").read_text(encoding="utf-8")
    made_by = re.search(r"--studies (\d+) --seed (\d+) --size (\d+)x(\d+)", readme)
    assert made_by
    studies, seed, rows, cols = map(int, made_by.groups())
    folder = tmp_path_factory.mktemp("again") / "sample_data"
    write_cohort(folder, studies, seed, (rows, cols))
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def close(first: np.ndarray, second: np.ndarray, steps: int) -> bool:
    """The same but for rounding: other processors round the last bit of exp and log another way."""
    difference = np.abs(first.astype(int) - second.astype(int))
    return first.shape == second.shape and bool(difference.max() <= steps and (difference > 0).mean() < 0.01)


def test_the_same_files_the_same_text_and_small_enough(again: Path) -> None:
    assert files(COMMITTED) == files(again)
    for name in ("README.txt", "labels.csv"):
        assert (COMMITTED / name).read_bytes() == (again / name).read_bytes()
    assert sum(p.stat().st_size for p in COMMITTED.rglob("*") if p.is_file()) < 4_000_000


def test_the_same_masks(again: Path) -> None:
    with np.load(COMMITTED / "masks.npz") as first, np.load(again / "masks.npz") as second:
        assert first.files == second.files
        assert all((first[n] != second[n]).sum() <= 4 for n in first.files)


def test_the_same_headers_and_pixels(again: Path, read_dicom) -> None:
    for name in (n for n in files(COMMITTED) if n.startswith("studies/")):
        first, second = COMMITTED / name, again / name
        if first.suffix in (".png", ".jpg"):
            with Image.open(first) as a, Image.open(second) as b:
                # A JPEG spreads a last bit over its block.
                assert close(np.asarray(a), np.asarray(b), steps=16 if first.suffix == ".png" else 3), name
            continue
        a, b = read_dicom(first), read_dicom(second)
        if first.name != "TRUNCATED.dcm":
            assert close(a.pixel_array, b.pixel_array, steps=2 if a.BitsStored < 16 else 8), name
        del a.PixelData, b.PixelData
        assert a == b, name
        assert a.file_meta == b.file_meta, name
