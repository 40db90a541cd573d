"""A site's own limits: from its films, for its model, kept outside the bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.film_check import CLASSES, FilmCheck, Limits, Tap, read_film_check
from cxrbatch.bundles.saving import save_film_check
from cxrbatch.film_check.of_run import judge_of_run
from cxrbatch.film_check.site_limits import CalibrationError, calibrate, judge_for, limits_file
from cxrbatch.intake.records import FileKind, ImageHeader, SourceFile
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.records import ScoredImage
from cxrbatch.ledger.run_json import write_run_json
from cxrbatch.request import RequestError

SHIPPED = Limits(flag=-2.0, clear=4.0)


@pytest.fixture
def checked(tiny: Bundle) -> Bundle:
    check = FilmCheck(
        tap=Tap("middle", 2),
        weights=np.zeros((4 * 12, len(CLASSES)), np.float32),
        bias=np.zeros(len(CLASSES), np.float32),
        centre=np.zeros(12, np.float32),
        whitening=np.eye(12, dtype=np.float32),
        limits=SHIPPED,
        wrong_percentiles=np.arange(-10, 90, dtype=np.float32) / 10.0,
        golden=np.zeros((2, 2), np.float32),
        tolerance={"float32": 1.0, "mixed": 1.0},
    )
    return save_film_check(tiny.folder, check, {"method": "none"})


def run_of(folder: Path, bundle: Bundle, wrong: np.ndarray, state: str = "finished") -> Path:
    """A run folder whose films had these figures; the atypicality is wrong / 10 + 1."""
    folder.mkdir()
    ledger = Ledger(folder / "ledger.db", create=True)
    for number, value in enumerate(wrong):
        path, key = f"/in/{number}.png", f"study{number:04}"
        header = ImageHeader(kind=FileKind.PNG, rows=10, columns=10)
        ledger.add_candidate(SourceFile(path, 1, 1, number), header, key, "")
        image = ScoredImage(
            path=path,
            study_key=key,
            image_key="i",
            header=header,
            rows=10,
            columns=10,
            probabilities=(0.5, 0.5),
            display_file=f"store/{key}/i.jpg",
            maps_file=None,
            atypicality=float(value) / 10.0 + 1.0,
            wrong=float(value),
        )
        ledger.record_score(image, f"p{number}", f"f{number}")
    ledger.close()
    about = {"name": bundle.card.name, "version": "1", "sha256": bundle.sha256}
    write_run_json(folder, {"state": state, "run_id": "night-1", "bundle": about})
    return folder


FILMS = np.random.default_rng(0).permutation(np.linspace(-9.0, -0.01, 400))


def test_limits_let_one_film_in_a_hundred_through(checked: Bundle, tmp_path: Path) -> None:
    found = calibrate(run_of(tmp_path / "run", checked, FILMS), checked, 0.01)
    assert found.films == 400
    assert np.sum(found.after.flag <= FILMS) == 4
    assert found.flagged_after == 4  # the same films are the atypical ones here
    assert found.flagged_before == np.sum(SHIPPED.flag <= FILMS)
    assert found.after.clear == pytest.approx(SHIPPED.clear + found.after.flag - SHIPPED.flag)
    assert found.sensitivity == pytest.approx(np.mean(np.arange(-10, 90) / 10.0 >= found.after.flag))
    worst = np.argsort(-FILMS)[:5]
    assert found.strangest == tuple(f"study{number:04}" for number in worst)


def test_limits_are_used_by_runs_from_then_on(checked: Bundle, tmp_path: Path) -> None:
    assert judge_of_run(checked, None, False).limits == SHIPPED  # type: ignore[union-attr]
    found = calibrate(run_of(tmp_path / "run", checked, FILMS), checked, 0.01)
    assert found.file == limits_file(checked)
    assert checked.folder not in found.file.parents
    judge = judge_of_run(checked, None, True)
    assert judge is not None
    assert judge.limits == found.after
    assert judge.origin.startswith("site, ")
    assert judge.reject


def test_a_run_that_was_begun_goes_on_with_its_limits(checked: Bundle, tmp_path: Path) -> None:
    begun = judge_of_run(checked, None, False)
    assert begun is not None
    calibrate(run_of(tmp_path / "run", checked, FILMS), checked, 0.01)
    assert judge_of_run(checked, {"inputs": [], **begun.settings()}, False) == begun


def test_a_quieter_site_gets_a_lower_limit_and_clear_cases_stay(checked: Bundle, tmp_path: Path) -> None:
    found = calibrate(run_of(tmp_path / "run", checked, FILMS - 5.0), checked, 0.01)
    assert found.after.flag < SHIPPED.flag
    assert found.after.clear == SHIPPED.clear


def test_limits_of_another_bundle_are_not_used(checked: Bundle, tmp_path: Path) -> None:
    calibrate(run_of(tmp_path / "run", checked, FILMS), checked, 0.01)
    check = read_film_check(checked)
    assert check is not None
    other = save_film_check(checked.folder, replace(check, bias=check.bias + 1), {"method": "none"})
    assert judge_for(other, check, False).limits == SHIPPED
    limits_file(checked).rename(limits_file(other))
    with pytest.raises(BundleError, match="about another bundle"):
        judge_for(other, check, False)


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 1}', '{"schema": 1, "bundle": {"sha256": 3}}'])
def test_a_damaged_file_is_an_error_that_names_it(checked: Bundle, content: str) -> None:
    check = read_film_check(checked)
    assert check is not None
    path = limits_file(checked)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(BundleError, match="calibrate again"):
        judge_for(checked, check, False)


def test_a_limit_that_is_no_number_is_an_error(checked: Bundle, tmp_path: Path) -> None:
    check = read_film_check(checked)
    assert check is not None
    path = calibrate(run_of(tmp_path / "run", checked, FILMS), checked, 0.01).file
    content = json.loads(path.read_text())
    content["limits"]["flag"] = float("nan")
    path.write_text(json.dumps(content))
    with pytest.raises(BundleError, match="no number"):
        judge_for(checked, check, False)


def test_what_cannot_give_limits_is_refused(checked: Bundle, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="has 199 films; at least 200"):
        calibrate(run_of(tmp_path / "few", checked, FILMS[:199]), checked, 0.01)
    with pytest.raises(CalibrationError, match="not finished"):
        calibrate(run_of(tmp_path / "running", checked, FILMS, state="running"), checked, 0.01)
    run = run_of(tmp_path / "other", checked, FILMS)
    write_run_json(run, {"state": "finished", "bundle": {"name": "other", "sha256": "0" * 64}})
    with pytest.raises(CalibrationError, match="limits belong to one model"):
        calibrate(run, checked, 0.01)
    assert not limits_file(checked).exists()


def test_without_a_film_check_there_is_nothing_to_calibrate_and_nothing_to_reject_by(
    tiny: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(CalibrationError, match="has no film check"):
        calibrate(run_of(tmp_path / "run", tiny, FILMS), tiny, 0.01)
    assert judge_of_run(tiny, None, False) is None
    with pytest.raises(RequestError, match="needs a film check"):
        judge_of_run(tiny, None, True)
