"""The film check's file: what is read is what was written, what does not fit is refused, scores stay."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.bundles.bundle import Bundle, open_bundle, write_sums
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.film_check import (
    CLASSES,
    FilmCheck,
    Limits,
    Tap,
    read_arrays,
    read_film_check,
    write_arrays,
)
from cxrbatch.bundles.saving import save_film_check

GRID, CHANNELS = 2, 3
ABOUT = {"method": "random numbers", "found": {"inverted": {"count": 3, "of": 4}}}


@pytest.fixture
def check() -> FilmCheck:
    random = np.random.default_rng(5)

    def numbers(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    return FilmCheck(
        tap=Tap("conv2d_1", GRID),
        weights=numbers(GRID**2 * CHANNELS, len(CLASSES)),
        bias=numbers(len(CLASSES)),
        centre=numbers(CHANNELS),
        whitening=numbers(CHANNELS, CHANNELS),
        limits=Limits(-1.5, 2.5),
        wrong_percentiles=np.sort(numbers(100)),
        golden=numbers(2, 2),
        tolerance={"float32": 1e-3, "mixed": 0.5},
    )


def test_arrays_come_back_as_they_went_in(check: FilmCheck, tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", check)
    found = read_arrays(tmp_path / "a.npz")
    for field in fields(check):
        np.testing.assert_equal(getattr(found, field.name), getattr(check, field.name))
    write_arrays(tmp_path / "b.npz", found)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_kind_is_the_likeliest_wrong_one_even_where_upright_is_likelier(check: FilmCheck) -> None:
    still = replace(check, weights=np.zeros_like(check.weights), bias=np.array([9, 1, 3, 2, 0], np.float32))
    (look,) = still.looks(np.zeros((1, GRID, GRID, CHANNELS), np.float32))
    assert look.kind == "upside_down"
    p = np.exp([9.0, 1, 3, 2, 0]) / np.exp([9.0, 1, 3, 2, 0]).sum()
    assert look.wrong == pytest.approx(np.log((1 - p[0]) / p[0]), rel=1e-9)


def test_scores_far_apart_do_not_overflow(check: FilmCheck) -> None:
    still = replace(
        check, weights=np.zeros_like(check.weights), bias=np.array([0, 5000, 0, 0, 0], np.float32)
    )
    (look,) = still.looks(np.zeros((1, GRID, GRID, CHANNELS), np.float32))
    assert look.wrong == pytest.approx(5000.0)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("weights", np.zeros((4, 5), np.float32), "weights must have the shape"),
        ("whitening", np.zeros((2, 3), np.float32), "whitening must have the shape"),
        ("bias", np.full(5, np.nan, np.float32), "finite"),
        ("schema", np.int64(9), "schema 9"),
        ("classes", np.array(("upright", "other")), "classes are others"),
    ],
)
def test_what_does_not_fit_is_refused(
    check: FilmCheck, tmp_path: Path, name: str, value: np.ndarray, complaint: str
) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, check)
    with np.load(path) as arrays:
        content = dict(arrays)
    np.savez(path, **{**content, name: value})
    with pytest.raises(BundleError, match=complaint):
        read_arrays(path)


def test_pickles_and_junk_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(BundleError, match="cannot be read as a film check"):
        read_arrays(path)
    np.savez(path, schema=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match="cannot be read as a film check"):
        read_arrays(path)


def test_a_check_is_added_without_touching_weights_and_golden_pair(
    check: FilmCheck, tiny_bundle: Bundle
) -> None:
    before = {path.name: path.read_bytes() for path in tiny_bundle.folder.iterdir() if path.is_file()}
    assert read_film_check(tiny_bundle) is None
    bundle = save_film_check(tiny_bundle.folder, check, ABOUT)
    assert bundle.sha256 != tiny_bundle.sha256
    for name in (bundle.card.weights.file, "golden.npz"):
        assert (bundle.folder / name).read_bytes() == before[name]
    assert bundle.card.model_copy(update={"film_check": None}) == tiny_bundle.card
    found = read_film_check(bundle)
    assert found is not None
    np.testing.assert_array_equal(found.weights, check.weights)
    assert not list(bundle.folder.parent.glob(".*"))  # no draft is left


def test_a_check_replaces_an_older_one(check: FilmCheck, tiny_bundle: Bundle) -> None:
    save_film_check(tiny_bundle.folder, check, ABOUT)
    other = replace(check, bias=check.bias + 1)
    bundle = save_film_check(tiny_bundle.folder, other, ABOUT)
    found = read_film_check(bundle)
    assert found is not None
    np.testing.assert_array_equal(found.bias, other.bias)


def test_altered_or_missing_arrays_are_an_error(check: FilmCheck, tiny_bundle: Bundle) -> None:
    bundle = save_film_check(tiny_bundle.folder, check, ABOUT)
    path = bundle.film_check_path
    assert path is not None
    kept = path.read_bytes()
    write_arrays(path, replace(check, limits=Limits(-9.0, 2.5)))
    with pytest.raises(BundleError, match="is not the file this bundle was made with"):
        open_bundle(bundle.folder)
    write_sums(bundle.folder)  # the card's own hash still tells
    with pytest.raises(BundleError, match="is not the file this bundle was made with"):
        open_bundle(bundle.folder)
    path.unlink()
    with pytest.raises(BundleError, match="has no file film_check"):
        open_bundle(bundle.folder)
    path.write_bytes(kept)
    write_sums(bundle.folder)
    assert open_bundle(bundle.folder).sha256 == bundle.sha256


def test_the_file_cannot_lie_outside_the_bundle(check: FilmCheck, tiny_bundle: Bundle) -> None:
    bundle = save_film_check(tiny_bundle.folder, check, ABOUT)
    card = bundle.folder / "card.json"
    shutil.copy(bundle.folder / "film_check.npz", bundle.folder.parent / "film_check.npz")
    card.write_text(card.read_text().replace('"film_check.npz"', '"../film_check.npz"'))
    with pytest.raises(BundleError, match="not a path"):
        open_bundle(bundle.folder)
