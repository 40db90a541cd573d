"""What the benchmarks share: targets, the table, and that one that fails does not hide the others."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxrbatch.scoring.prediction import Prediction

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return {name: importlib.import_module(name) for name in ("parts.figures", "parts.within_folds", "all")}


@pytest.mark.parametrize(
    ("value", "targets", "met", "verdict"),
    [
        (3.0, {"at_most": 3}, True, "met"),
        (3.1, {"at_most": 3}, False, "MISSED"),
        (0.94, {"at_least": 0.95}, False, "MISSED"),
        (0.95, {"at_least": 0.95}, True, "met"),
        (float("nan"), {"at_most": 3}, False, "MISSED"),
        (1.0, {}, None, ""),
        (None, {"at_least": 1}, None, ""),
    ],
)
def test_a_target_is_met_or_missed(modules, value, targets, met, verdict):
    figure = modules["parts.figures"].Figure("x", value, **targets)
    assert figure.met is met
    assert figure.verdict == verdict


def test_the_table_holds_all_rows_though_one_benchmark_breaks(modules, tmp_path, monkeypatch):
    runner = modules["all"]
    good = "from parts.figures import Figure, conclude\nconclude([Figure('speed', 2.0, 'x', at_least=1)])\n"
    slow = "from parts.figures import Figure, conclude\nconclude([Figure('haste', 0.5, 'x', at_least=1)])\n"
    for name, text in (("a", "raise SystemExit('broken')"), ("b", good), ("c", slow)):
        (tmp_path / f"{name}.py").write_text(f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n{text}")
    monkeypatch.setattr(runner, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["all.py"])
    with pytest.raises(SystemExit) as ended:
        runner.main()
    assert ended.value.code == 1
    table = (tmp_path / "RESULTS.md").read_text()
    assert "| speed | 2.00 x | >= 1 | met |" in table
    assert "| haste | 0.50 x | >= 1 | MISSED |" in table
    assert "FAILED (status 1)" in table
    assert "missed a target" in table

    (tmp_path / "c.py").write_text((tmp_path / "c.py").read_text().replace("0.5", "0.25"))
    monkeypatch.setattr(sys, "argv", ["all.py", "c"])
    with pytest.raises(SystemExit):
        runner.main()
    again = (tmp_path / "RESULTS.md").read_text()
    assert [row for row in again.splitlines() if "haste" not in row and "**c**" not in row] == [
        row for row in table.splitlines() if "haste" not in row and "**c**" not in row
    ]
    assert "| haste | 0.25 x | >= 1 | MISSED |" in again

    monkeypatch.setattr(runner, "processor", lambda: "another")
    with pytest.raises(SystemExit):
        runner.main()
    assert "speed" not in (tmp_path / "RESULTS.md").read_text()


def test_processor_time_of_an_orphan_counts():
    """As of the worker processes, whose parent, a fork server, is nobody's child any more when it ends.

    In a process of its own, as every benchmark is: it waits for all that it inherits.
    """
    burn = "import time\nwhile time.process_time() < 0.4: pass"
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {burn!r}])"
    measure = f"import sys; from parts.usage import run; print(run([sys.executable, '-c', {orphan!r}]).cpu)"
    done = subprocess.run([sys.executable, "-c", measure], cwd=BENCHMARKS, capture_output=True, check=True)
    assert float(done.stdout) >= 0.4


def test_what_came_before_the_mark_is_left_out(tmp_path):
    """Of a command and a child of its own that is still alive at the mark, and one that had ended."""
    burn = "import time; begun = time.process_time()\nwhile time.process_time() - begun < {}: pass"
    child = burn.format(0.5) + "\ntime.sleep(1)"
    command = (
        f"import pathlib, subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn.format(0.5)!r}])\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"{burn.format(0.7)}\n"
        f"time.sleep(0.5); pathlib.Path({str(tmp_path / 'mark')!r}).touch(); time.sleep(0.2)\n"
        f"{burn.format(0.4)}\nchild.wait()"
    )
    measure = (
        f"import pathlib, sys; from parts.usage import run; mark = pathlib.Path({str(tmp_path / 'mark')!r})\n"
        f"print(run([sys.executable, '-c', {command!r}], since=mark.exists).cpu)"
    )
    done = subprocess.run([sys.executable, "-c", measure], cwd=BENCHMARKS, capture_output=True, check=True)
    assert 0.35 <= float(done.stdout) < 0.7


def test_a_run_without_its_mark_is_no_measurement():
    measure = "import sys; from parts.usage import run; run([sys.executable, '-c', ''], since=lambda: False)"
    done = subprocess.run([sys.executable, "-c", measure], cwd=BENCHMARKS, capture_output=True, text=True)
    assert done.returncode == 1
    assert "began" in done.stderr


def test_orphans_are_adopted_only_while_a_command_is_measured():
    """Whoever goes on adopting and waits for nobody keeps zombies, which look alive to those who ask."""
    measure = (
        "import ctypes, sys; from parts.usage import run; run([sys.executable, '-c', ''])\n"
        "adopts = ctypes.c_int(-1); ctypes.CDLL(None).prctl(37, ctypes.byref(adopts), 0, 0, 0)\n"
        "print(adopts.value)"
    )
    done = subprocess.run([sys.executable, "-c", measure], cwd=BENCHMARKS, capture_output=True, check=True)
    assert done.stdout.split() == [b"0"]


@pytest.fixture
def folds(modules):
    """Three folds of patients with three films each; what the second model gives has a level by fold."""
    random, made = np.random.default_rng(0), []
    for level in (0.0, 5.0, -5.0):
        patients = [f"{i // 3}" for i in range(90)]
        truth = (random.random((90, 2)) < (0.3, 0.1)).astype(float)
        truth[random.random((90, 2)) < 0.1] = np.nan
        before, noise = random.normal(size=(2, 90, 2))
        after = level + noise + np.nan_to_num(truth)
        made.append(modules["parts.within_folds"].Fold(truth, before, after.round(1), patients))
    return made


def test_films_are_compared_within_their_fold(modules, folds):
    """By scikit-learn: the folds' AUROC, weighted by their pairs."""
    areas = {"before": [], "after": []}
    for name, found in areas.items():
        for j in range(2):
            known = [~np.isnan(fold.truth[:, j]) for fold in folds]
            y = [fold.truth[keep, j] for fold, keep in zip(folds, known, strict=True)]
            s = [getattr(fold, name)[keep, j] for fold, keep in zip(folds, known, strict=True)]
            pairs = [one.sum() * (1 - one).sum() for one in y]
            found.append(np.average([roc_auc_score(*both) for both in zip(y, s, strict=True)], weights=pairs))
    gain = modules["parts.within_folds"].pairs_within_folds(folds, rounds=200)
    assert gain.before == pytest.approx(np.mean(areas["before"]))
    assert gain.after == pytest.approx(np.mean(areas["after"]))
    assert gain.interval[0] < gain.after - gain.before < gain.interval[1]


def test_patients_are_drawn_within_their_fold(modules, folds):
    """A round is a table of the patients drawn: done by hand, its spread is the same."""
    within, random = modules["parts.within_folds"], np.random.default_rng(1)
    ours = within.areas_within_folds(folds, 2000, 0)[1, 1:, 0]
    by_hand = []
    for _ in range(400):
        won = pairs = 0.0
        for fold in folds:
            names = random.integers(0, 30, 30)
            rows = np.concatenate([np.arange(3 * i, 3 * i + 3) for i in names])
            rows = rows[~np.isnan(fold.truth[rows, 0])]
            y, s = fold.truth[rows, 0], fold.after[rows, 0]
            count = y.sum() * (1 - y).sum()
            won, pairs = won + count * roc_auc_score(y, s), pairs + count
        by_hand.append(won / pairs)
    assert np.mean(ours) == pytest.approx(np.mean(by_hand), abs=0.01)
    # The standard error of the second is 3.5 %.
    assert np.std(ours) == pytest.approx(np.std(by_hand), rel=0.14)


@pytest.fixture
def ray_data_way(modules):
    return importlib.import_module("ray_data_way")


def test_a_film_costs_what_the_cheapest_long_run_takes_beyond_the_cheapest_short_one(ray_data_way, tmp_path):
    """9 films, a short run of 3: 6 more. 10 s of starting and 2 s a film; other work made two runs dearer."""
    Film, Cost, Pair = ray_data_way.Film, ray_data_way.Cost, ray_data_way.Pair
    pairs = [
        Pair(Film(Cost(16 + 5, 3)), Film(Cost(28, 9), 900)),
        Pair(Film(Cost(16, 3)), Film(Cost(28 + 7, 9), 900)),
    ]
    film = ray_data_way.Bench([tmp_path] * 9, tmp_path).one_more(pairs)
    assert (film.cost.wall, film.cost.cpu, film.stored, film.is_sound) == (2, 1, 150, True)


@pytest.mark.parametrize(("other", "met"), [(0.5, True), (0.50002, False), (float("nan"), False)])
def test_one_probability_that_differs_is_seen(ray_data_way, modules, tmp_path, other, met):
    bench = ray_data_way.Bench([], tmp_path)
    bench._scores = {"a.dcm": [0.1, 0.5], "b.dcm": [0.2, 0.5]}
    bench._found = [bench._scores, {"b.dcm": [0.2, other], "a.dcm": [0.1, 0.5]}]
    assert modules["parts.figures"].Figure("x", bench.difference, at_most=1e-5).met is met


def test_ray_datas_actor_gives_each_film_its_own_row_and_maps(modules, tmp_path, monkeypatch):
    """Five films for a model of two a batch: the last batch is filled up, and nothing of that comes out."""
    ray_data = importlib.import_module("parts.ray_data")

    class Twos:
        batch_size = 2

        def __call__(self, batch):
            assert batch.shape == (2, 3, 3, 1)
            values = batch.mean(axis=(1, 2))
            return Prediction(values, values, values[:, None, None])

    monkeypatch.setattr("cxrbatch.scoring.predictor.load_predictor", lambda *_, **__: Twos())
    scorer = ray_data.Scorer("cxr-lite", 1, str(tmp_path), is_fitted=True)
    films = np.arange(5, dtype=np.float32).repeat(9).reshape(5, 3, 3, 1)
    names = [f"{i}.dcm" for i in range(5)]
    rows = scorer({"name": names, "film": films})
    assert list(rows["name"]) == names
    assert rows["probabilities"].ravel().tolist() == [0, 1, 2, 3, 4]
    assert [float(np.load(tmp_path / f"{i}.npy").item()) for i in range(5)] == [0, 1, 2, 3, 4]
    assert "film" not in rows


def test_networks_take_turns_and_cost_what_a_film_costs(modules, monkeypatch):
    networks = importlib.import_module("parts.networks")
    monkeypatch.setattr(networks, "PAUSE", 0.0)
    turns = []

    def network(name, seconds):
        def run(films):
            turns.append(name)
            time.sleep(seconds * len(films))

        return run

    streams = {"quick": network("quick", 0.002), "slow": network("slow", 0.01)}
    found = networks.seconds_by_turn(streams, np.zeros(1), turns=3)
    assert found["quick"].shape == found["slow"].shape == (3,)
    assert np.median(found["quick"]) == pytest.approx(0.002, rel=0.5)
    assert np.median(found["slow"]) == pytest.approx(0.01, rel=0.5)
    assert turns.count("quick") == turns.count("slow")
