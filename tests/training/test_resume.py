"""Killed at any moment and started again, a run ends as an uninterrupted one does."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("fitting_in_a_process.py")
STEPS = 4
CLOCK = {"seconds", "images_per_second"}


def run(folder: Path, *kills: str) -> dict[str, list[int]]:
    command = [sys.executable, str(SCRIPT), str(folder), *kills]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    statuses: dict[str, list[int]] = json.loads(done.stdout.splitlines()[-1])
    return statuses


def weights(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    assert found
    return found


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


def require_same(folder: Path, whole: Path) -> None:
    """Bit by bit, but for what a clock decides."""
    assert rows(folder) == rows(whole)
    assert json.loads((folder / "fitted.json").read_text()) == json.loads((whole / "fitted.json").read_text())
    for name in ("best.weights.h5", "last.weights.h5"):
        one, other = weights(folder / "checkpoints" / name), weights(whole / "checkpoints" / name)
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=f"{name} {key}")
    with np.load(folder / "backup/state.npz") as one, np.load(whole / "backup/state.npz") as other:
        assert sorted(one) == sorted(other)
        for key in one:
            if key != "head":
                np.testing.assert_array_equal(one[key], other[key], err_msg=key)
    assert not list(folder.rglob(".cxrbatch-tmp-*"))


def check(folder: Path, *kills: str) -> None:
    statuses = run(folder, *kills)
    whole = folder / "whole"
    assert statuses["whole"] == [0]
    assert statuses["again"] == [0]
    epochs = rows(whole)
    # The run shows what could be forgotten: a cut rate, early stopping, a best epoch before the last.
    assert len({row["learning_rate"] for row in epochs}) > 1
    best, _, count, stopped_early, interrupted = json.loads((whole / "fitted.json").read_text())
    assert stopped_early
    assert not interrupted
    assert best < count == len(epochs)
    assert [int(row["epoch"]) for row in epochs] == list(range(1, count + 1))
    assert [int(row["step"]) for row in epochs] == [STEPS * e for e in range(1, count + 1)]
    # All that learns has its average: two convolutions, kernel and bias.
    with np.load(whole / "backup/state.npz") as state:
        averages = {key: state[key] for key in state if key.startswith("average_")}
        assert len(averages) == 4
        for key, average in averages.items():
            assert np.abs(average - state[key.replace("average", "model")]).max() > 1e-4
    best_areas = [float(row["val_macro_auroc"]) for row in epochs]
    assert best == 1 + int(np.argmax(best_areas))
    for kill in kills:
        assert statuses[kill] == [-9, 0], kill
        require_same(folder / kill, whole)


def test_killed_runs_end_as_whole_ones(tmp_path: Path) -> None:
    kills = ("mid-epoch", "first-step-of-the-second-phase", "between-checkpoint-and-backup")
    check(tmp_path, *kills, "in-the-backup's-writing")


@pytest.mark.long
def test_killed_at_rarer_moments(tmp_path: Path) -> None:
    rarer = ("mid-epoch-of-warmup", "validation", "between-backup-and-commit")
    check(tmp_path, *rarer, "before-the-history-is-written")
