"""``--fast-decode`` from end to end: recorded, bound to the run, and of no weight to the probabilities."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000Lossless
from typer.testing import CliRunner

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.cli.app import app
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.geometry import content_box, enough_pixels
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.radiographs.display import display_jpeg
from cxrbatch.radiographs.read import read_radiograph
from cxrbatch.sample.dicom_film import Place, Sitter, dicom_bytes
from cxrbatch.sample.encodings import Encoding, Tone
from cxrbatch.sample.phantom import frontal

SITTER = Sitter("P", "Phantom^Nobody", ("ISO_IR 192",), "F", 50)
LARGE = (4096, 3584)


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film large enough to be halved (its display picture has 1024 rows), and one that is not."""
    folder = tmp_path_factory.mktemp("inbox")
    for number, size in enumerate((LARGE, (700, 600))):
        place = Place(f"1.2.{number}", f"1.2.{number}.1", f"1.2.{number}.1.1", "A", "20260102")
        picture = frontal(number, size, findings=("Effusion",)).film
        encoding = Encoding(JPEG2000Lossless, 12, Tone.WINDOW, inverted=number == 0)
        (folder / f"{number}.dcm").write_bytes(dicom_bytes(picture, encoding, SITTER, place, "PA"))
    return folder


def score(inbox: Path, run: Path, *options: str) -> tuple[int, str]:
    arguments = ["score", str(inbox), "--out", str(run), "--reports", "html", *options]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stderr


def test_probabilities_and_pages_stay_and_the_run_says_that_it_was_used(inbox: Path, tmp_path: Path) -> None:
    assert score(inbox, tmp_path / "fast", "--fast-decode")[0] == 0
    assert score(inbox, tmp_path / "full")[0] == 0
    fast, full = (pd.read_csv(tmp_path / run / "scores.csv") for run in ("fast", "full"))
    findings = list(open_bundle("cxr-lite").card.findings)
    difference = np.abs(fast[findings] - full[findings]).max(axis=1)
    large, small = fast["path"].str.endswith("0.dcm"), fast["path"].str.endswith("1.dcm")
    assert 0 < difference[large].item() < 0.005
    assert difference[small].item() == 0
    settings = [json.loads((tmp_path / run / "run.json").read_text())["settings"] for run in ("fast", "full")]
    assert settings[0]["fast_decode"] is True
    assert "fast_decode" not in settings[1]
    pages = [page.read_text() for page in (tmp_path / "fast" / "reports").rglob("report.html")]
    assert any(f"{LARGE[1]} × {LARGE[0]} pixels" in page for page in pages)
    code, said = score(inbox, tmp_path / "fast")
    assert code == 2
    assert "fast_decode was True and is now None" in said


def test_a_real_film_at_half_size_scores_as_the_whole_one() -> None:
    path = get_testdata_file("RG1_J2KR.dcm")
    if path is None:
        pytest.skip("pydicom-data is not installed")
    from cxrbatch.pipeline.preprocess import preprocess_one
    from cxrbatch.scoring.predictor import load_predictor

    data = Path(path).read_bytes()
    bundle = open_bundle("cxr-lite")
    predictor = load_predictor(bundle)
    films = [read_radiograph(data, FileKind.DICOM, least) for least in (None, (640, 640))]
    assert films[0].pixels.shape == (1955, 1841)
    assert films[1].pixels.shape == (978, 921)
    full, half = (predictor(preprocess_one(f.pixels, bundle.card.input)[None]).probabilities for f in films)
    assert np.abs(full - half).max() < 0.005


@pytest.mark.parametrize("size", [(1955, 1841), (4280, 3520), (300, 250), (3000, 500)])
def test_enough_pixels_is_twice_what_is_scored_and_shown(size: tuple[int, int]) -> None:
    from PIL import Image

    spec = InputSpec(height=320, width=256, channels=1, scaling=Scaling.UNIT)
    rows, columns = enough_pixels(*size, spec)
    box = content_box(*size, spec)
    with Image.open(io.BytesIO(display_jpeg(np.zeros(size, np.uint16)))) as shown:
        assert rows == 2 * max(box.height, shown.height)
        assert columns == 2 * max(box.width, shown.width)
