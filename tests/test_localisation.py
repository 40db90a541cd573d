"""Where a model looks, through the command: the shipped model on a few phantoms, and its card."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner

from cxrbatch.bundles.batch_norms import leaves, settle_batch_norms
from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.bundles.network import load_classifier
from cxrbatch.cli.app import app
from cxrbatch.localisation import _Look, _pointing, randomise, rank_correlation
from cxrbatch.sample.phantom import frontal

SIZE = (512, 448)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("models") / "copy"
    shutil.copytree(open_bundle("cxr-lite").folder, folder, ignore=shutil.ignore_patterns(".openvino"))
    return open_bundle(str(folder))


def grid_of(mask: np.ndarray, bundle: Bundle, cells: int = 32) -> np.ndarray:
    """A map as fine as `cells` that is exactly the lesion, in the network's padded square."""
    spec, scale = bundle.card.input, bundle.card.input.height / SIZE[0]
    square = np.zeros((spec.height, spec.width), np.float32)
    left = (spec.width - round(SIZE[1] * scale)) // 2
    for row, column in zip(*np.nonzero(mask), strict=True):
        square[int(row * scale), left + int(column * scale)] = 1.0
    side = spec.height // cells
    return square.reshape(cells, side, cells, side).mean(axis=(1, 3))


def test_a_map_that_is_the_lesion_points_at_it_and_one_that_is_its_opposite_does_not(bundle: Bundle) -> None:
    looks, right, wrong = [], [], []
    for seed in range(3):
        mask = frontal(seed, SIZE, findings=["Effusion"]).masks["Effusion"]
        looks.append(_Look(np.zeros((1, 1, 1), np.float32), "Effusion", 2, mask))
        right.append(grid_of(mask, bundle))
        wrong.append(0.5 - right[-1])
    found = _pointing(bundle, looks, np.stack(right))["Effusion"]
    assert (found.hits.count, found.hits.of) == (3, 3)
    assert found.overlap > 0.4
    assert 0.0 < found.by_chance < 0.2
    assert _pointing(bundle, looks, np.stack(wrong))["Effusion"].hits.count == 0


def test_the_command_measures_and_writes_onto_the_card(bundle: Bundle) -> None:
    arguments = ["model", "localise", str(bundle.folder), "--films", "1", "--on-card"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    after = open_bundle(str(bundle.folder))  # which compares the files with their hashes
    assert after.sha256 != bundle.sha256
    assert after.card.weights == bundle.card.weights
    found = after.card.localisation
    assert found is not None
    assert set(found.findings) == {
        "Cardiomegaly", "Consolidation", "Effusion", "Mass", "Nodule", "Pneumothorax",
    }  # fmt: skip
    for name, row in found.findings.items():
        assert row.hits.of == 1
        assert f"{name} " in done.output
    assert list(found.randomised) == ["head", "head and top fifth", "head and top half", "whole network"]
    assert abs(found.randomised["whole network"]) < 0.5


def test_a_model_that_knows_nothing_plantable_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    folder = tmp_path / "other"
    shutil.copytree(bundle.folder, folder)
    from cxrbatch.bundles.saving import rewrite_card

    names = [f"Finding {number}" for number in range(len(bundle.card.findings))]
    tables = {"thresholds": dict.fromkeys(names, 0.5), "calibration": None, "map_scale": None}
    none = {
        "other_thresholds": None,
        "calibration_prevalence": None,
        "validation": None,
        "localisation": None,
    }
    rewrite_card(folder, {"findings": names, **tables, **none})
    done = CliRunner().invoke(app, ["model", "localise", str(folder), "--films", "1"])
    assert done.exit_code == 2
    assert "knows none of the findings that phantoms can have" in done.output


def test_a_randomised_network_is_another_and_still_alive(bundle: Bundle) -> None:
    classifier = load_classifier(bundle)
    film = np.random.default_rng(1).normal(size=(4, 320, 320, 3)).astype(np.float32)
    before = np.asarray(classifier(film, training=False))
    rng = np.random.default_rng(0)
    for layer in leaves(classifier):
        spread = [float(np.std(v)) for v in layer.weights]
        randomise(layer, rng)
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            assert np.std(layer.kernel) == pytest.approx(spread[0], rel=0.15)
    settle_batch_norms(classifier, film)
    last = [x for x in leaves(classifier) if isinstance(x, keras.layers.BatchNormalization)][-1]
    seen = keras.Model(classifier.inputs, last.output)(film, training=False)
    assert np.asarray(seen).mean() == pytest.approx(0.0, abs=1e-3)  # beta, and the statistics are its own
    assert np.asarray(seen).std() == pytest.approx(1.0, abs=0.05)
    assert not np.allclose(np.asarray(classifier(film, training=False)), before, atol=0.01)


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 5, (2, 6, 6)).astype(float)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)
    assert rank_correlation(a, np.ones((6, 6))) == 0.0
