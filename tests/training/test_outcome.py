"""What a new bundle takes over from its start."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import pytest

from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.bundles.film_check import FILM_CHECK_FILE, read_film_check
from cxrbatch.bundles.saving import save_bundle
from cxrbatch.training.outcome import _with_film_check


@pytest.fixture(scope="module")
def lite() -> Bundle:
    return open_bundle("cxr-lite")


def retrained(lite: Bundle, folder: Path, layer: str) -> Bundle:
    """cxr-lite without its film check, and with a layer's first array changed as training would."""
    weights = folder / "new.weights.h5"
    shutil.copyfile(lite.weights_path, weights)
    with h5py.File(weights, "r+") as file:
        variables = file[f"layers/{layer}/vars"]
        variables["0"][...] = variables["0"][...] * 1.05
    fields = lite.card.model_dump(mode="json", exclude={"weights", "film_check", "localisation"})
    return save_bundle(folder / "bundle", weights, fields)


def test_the_starts_film_check_is_kept_where_only_the_head_has_changed(lite: Bundle, tmp_path: Path) -> None:
    before = retrained(lite, tmp_path, "dense")
    after, notices = _with_film_check(before, lite)
    assert notices == []
    assert (after.folder / FILM_CHECK_FILE).read_bytes() == (lite.folder / FILM_CHECK_FILE).read_bytes()
    assert read_film_check(open_bundle(after.folder)) is not None
    assert after.card.weights == before.card.weights
    assert after.card.thresholds == before.card.thresholds


def test_it_is_not_where_training_changed_what_it_looks_at(lite: Bundle, tmp_path: Path) -> None:
    before = retrained(lite, tmp_path, "conv2d")  # the stem
    after, (notice,) = _with_film_check(before, lite)
    assert after == before
    assert not (after.folder / FILM_CHECK_FILE).exists()
    assert "no film check (cxrbatch model fit-intake)" in notice
    assert "is another network" in notice


def test_a_start_without_one_is_nothing_to_speak_of(lite: Bundle, tmp_path: Path) -> None:
    bare = retrained(lite, tmp_path, "dense")
    assert _with_film_check(bare, bare) == (bare, [])
    assert _with_film_check(bare, None) == (bare, [])
