"""Does fine-tuning help on patients that it has not seen? Cross-validation of `cxrbatch train` itself.

    python benchmarks/fine_tuning.py --images DIR --labels labels.csv --out DIR [--init cxr-lite] [--folds 5]
        [--seed 0] [--size PX] [--epochs N] [--config cxrbatch.toml] [--workers N]

Patients are dealt into folds, alike in every finding. For each fold the command fine-tunes `--init` on the
others (a part of their patients, `--validation`, chooses the epoch) and scores the fold's films. The start
scores the same films at its own input size. Patients whose hash is on the start's card are left out: on them
the start would be no fair one. `--out` keeps everything; the same command goes on where it was stopped.

The networks of two folds differ in their level: a finding that is rare among the training patients of a fold
gets lower probabilities there, and is frequent among those judged. So probabilities pooled over the folds
flatter the start, and what counts is the gain within folds (`parts/within_folds.py`). Printed beside it: the
mean of the folds, and what `cxrbatch compare` says of all folds' percentiles and raw probabilities together.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from parts.figures import Figure, conclude
from parts.within_folds import Fold, mean_of_folds, pairs_within_folds
from scipy.stats import rankdata

from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.evaluation.auroc import auroc
from cxrbatch.evaluation.cohort import join
from cxrbatch.evaluation.columns import NEVER_A_FINDING
from cxrbatch.evaluation.delimited import fold as folded
from cxrbatch.evaluation.labels import read_labels
from cxrbatch.evaluation.leaks import patient_overlap
from cxrbatch.evaluation.tables import read_probabilities
from cxrbatch.evaluation.verdict_file import read_verdict
from cxrbatch.training.records import Side
from cxrbatch.training.splits import group_patients, split_patients

LABELS, SCORES = "labels.csv", "scores.csv"
KINDS = ("percentiles", "probabilities")


@dataclass(frozen=True)
class Judged:
    """The films that are dealt into folds. `rows`: the labels' own, as text; `fold` (n,) from 0."""

    rows: pd.DataFrame
    fold: NDArray[np.int64]
    sides: list[NDArray[np.int8]]
    left_out: int


def main() -> None:
    arguments = _arguments()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    judged = deal(arguments, open_bundle(arguments.init))
    dealt = f"{len(judged.rows)} films in {arguments.folds} folds"
    print(f"{dealt}; {judged.left_out} films of patients that the start knows left out", flush=True)
    start = score_start(arguments)
    seconds = []
    for number in range(arguments.folds):
        begun = time.monotonic()
        train(arguments, judged, number)
        seconds.append(time.monotonic() - begun)
        print(fold_line(out, number, start, seconds[-1]), flush=True)
    tell(arguments, judged, start, seconds)


# -- folds


def deal(arguments: argparse.Namespace, init: Bundle) -> Judged:
    """Folds, and within each the sides of `cxrbatch train`: the same for the same labels and seed."""
    rows = pd.read_csv(arguments.labels, dtype=str, keep_default_na=False)
    labels = read_labels(arguments.labels)
    if labels.patient_ids is None:
        sys.exit(f"{arguments.labels} has no column of patients: folds of films would share patients.")
    data = init.card.training_data
    salt, hashes = ("", ()) if data is None else (data.patient_id_salt, data.patient_id_hashes)
    known = set(patient_overlap(labels.patient_ids, salt, hashes).patients)
    kept = np.array([name not in known for name in labels.patient_ids])
    patients = np.array(group_patients(labels.patient_ids))[kept]
    matrix = labels.matrix[kept]
    fold = folds_of(patients, matrix, arguments.folds, arguments.seed)
    sides = []
    for number in range(arguments.folds):
        rest = fold != number
        side = np.full(len(fold), int(Side.TEST), np.int8)
        share = arguments.validation
        side[rest] = split_patients(patients[rest].tolist(), matrix[rest], share, 0.0, arguments.seed)
        sides.append(side)
    return Judged(rows[kept].reset_index(drop=True), fold, sides, int((~kept).sum()))


def folds_of(
    patients: NDArray[np.str_], matrix: NDArray[np.float64], folds: int, seed: int
) -> NDArray[np.int64]:
    """(n,) from 0: one fold after the other is split off as `cxrbatch train` splits off its test patients."""
    fold = np.full(len(patients), folds - 1)
    for number in range(folds - 1):
        rest = np.flatnonzero(fold == folds - 1)
        share = 1.0 / (folds - number)
        sides = split_patients(patients[rest].tolist(), matrix[rest], 0.0, share, seed)
        fold[rest[sides == Side.TEST]] = number
    return fold


# -- the two models


def score_start(arguments: argparse.Namespace) -> Path:
    """The start's scores of all films, at its own size."""
    run = arguments.out / "start"
    command = ["score", str(arguments.images), "--out", str(run), "--model", arguments.init]
    cxrbatch([*command, "--reports", "none"], arguments.out / "start.log", allowed=(0, 3))
    return run / SCORES


def train(arguments: argparse.Namespace, judged: Judged, number: int) -> None:
    """Fine-tune on all folds but `number`, which is the test side."""
    folder = arguments.out / f"fold{number}"
    folder.mkdir(exist_ok=True)
    names = np.array([side.name.lower() for side in Side])
    table = judged.rows.assign(split=names[judged.sides[number]])
    table.to_csv(folder / LABELS, index=False, quoting=csv.QUOTE_MINIMAL)
    command = ["train", "--images", str(arguments.images), "--labels", str(folder / LABELS)]
    command += ["--out", str(folder / "train"), "--mode", "full", "--init", arguments.init]
    command += ["--cache", str(arguments.out / "cache"), "--seed", str(arguments.seed)]
    for option in ("size", "epochs", "config", "workers"):
        if (value := getattr(arguments, option)) is not None:
            command += [f"--{option}", str(value)]
    cxrbatch(command, folder / "train.log")


def cxrbatch(command: list[str], log: Path, allowed: tuple[int, ...] = (0,)) -> None:
    """Run it; its messages go to `log`."""
    with log.open("a") as file:
        done = subprocess.run([sys.executable, "-m", "cxrbatch", *command], stdout=file, stderr=file)
    if done.returncode not in allowed:
        sys.exit(f"cxrbatch {command[0]} ended with exit code {done.returncode}: see {log}")


# -- the verdict


def fold_line(out: Path, number: int, start: Path, seconds: float) -> str:
    """Macro AUROC of both on the fold."""
    labels = out / f"fold{number}" / LABELS
    ends = tested(out, number)
    begins = _rows_of(start, ends)
    path = out / f"fold{number}"
    before, after = (
        macro(table, labels, path / name) for name, table in (("a.csv", begins), ("b.csv", ends))
    )
    return f"fold {number}: macro AUROC {before:.3f} before, {after:.3f} after ({seconds:.0f} s)"


def tested(out: Path, number: int) -> pd.DataFrame:
    return pd.read_csv(out / f"fold{number}" / "train" / "test" / SCORES, dtype=str, keep_default_na=False)


def _rows_of(start: Path, ends: pd.DataFrame) -> pd.DataFrame:
    """The start's rows of the same films, in the same order."""
    table = pd.read_csv(start, dtype=str, keep_default_na=False).set_index("path")
    return table.loc[ends["path"]].reset_index()


def macro(table: pd.DataFrame, labels: Path, path: Path) -> float:
    """Over the findings that have both classes there."""
    table.to_csv(path, index=False)
    cohort = join(read_labels(labels), read_probabilities(path))
    return float(np.nanmean(auroc(cohort.y_true, cohort.y_score)))


def tell(arguments: argparse.Namespace, judged: Judged, start: Path, seconds: list[float]) -> None:
    """Pool the folds, compare, print the table."""
    out = arguments.out
    judged.rows.to_csv(out / LABELS, index=False)
    ends = [tested(out, number) for number in range(arguments.folds)]
    begins = [_rows_of(start, table) for table in ends]
    verdicts: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        folder = out / kind
        folder.mkdir(exist_ok=True)
        for name, tables in (("start.csv", begins), ("fine_tuned.csv", ends)):
            some = tables if kind == "probabilities" else [percentiles(table) for table in tables]
            # Without `bundle`: five models are one candidate here.
            pd.concat(some).drop(columns="bundle").to_csv(folder / name, index=False)
        command = ["compare", str(folder / "start.csv"), str(folder / "fine_tuned.csv"), str(out / LABELS)]
        cxrbatch([*command, "--out", str(folder / "compare")], folder / "compare.log", allowed=(0, 5))
        verdicts[kind] = read_verdict(folder / "compare")
    print_findings(verdicts["percentiles"])
    folds = [fold_of(out / f"fold{i}", *pair) for i, pair in enumerate(zip(begins, ends, strict=True))]
    conclude([*figures(folds, verdicts), Figure("training of a fold", float(np.median(seconds)), "s")])


def fold_of(path: Path, begin: pd.DataFrame, end: pd.DataFrame) -> Fold:
    """Both models' scores of the fold's films."""
    labels = read_labels(path / LABELS)
    cohorts = []
    for name, table in (("a.csv", begin), ("b.csv", end)):
        table.to_csv(path / name, index=False)
        cohorts.append(join(labels, read_probabilities(path / name)))
    before, after = cohorts
    return Fold(before.y_true, before.y_score, after.y_score, before.clusters)


def percentiles(table: pd.DataFrame) -> pd.DataFrame:
    """Each finding's probabilities as their places among those of the fold's films, in (0, 1)."""
    findings = [name for name in table if folded(name) not in NEVER_A_FINDING]
    ranks = rankdata(table[findings].astype(float), axis=0)
    return table.assign(**dict(zip(findings, ((ranks - 0.5) / len(table)).T, strict=True)))


def print_findings(verdict: dict[str, Any]) -> None:
    """One line a finding."""
    print(f"{'':20s} before  after   difference, 95% interval (percentiles within folds)")
    for name, row in verdict["findings"].items():
        area = row["auroc"]
        print(f"{name:20s} {area['a']:.3f}   {area['b']:.3f}   {_difference(area)}")


def _difference(row: dict[str, Any]) -> str:
    interval = "no interval" if row["ci95"] is None else "{:+.3f} to {:+.3f}".format(*row["ci95"])
    return f"{row['difference']:+.3f}, {interval}"


def figures(folds: list[Fold], verdicts: dict[str, dict[str, Any]]) -> list[Figure]:
    """The point is made when the interval on pairs within folds lies above 0; the others are beside it."""
    name = "lower end of the gain in macro AUROC"
    pairs, mean = pairs_within_folds(folds), mean_of_folds(folds)
    found = [Figure(f"{name}, pairs within folds", pairs.interval[0], "", 0.0, note=str(pairs))]
    found.append(Figure(f"{name}, mean of the folds", mean.interval[0], note=str(mean)))
    for kind, verdict in verdicts.items():
        primary = verdict["primary"]
        areas = f"{primary['macro_auroc_a']:.3f} to {primary['macro_auroc_b']:.3f}"
        words = f"{areas}, difference {_difference(primary)}"
        found.append(Figure(f"{name}, pooled {kind}", primary["ci95"][0], note=words))
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", default="cxr-lite")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", type=float, default=0.15, help="share of the other folds' films")
    for option in ("size", "epochs", "workers"):
        parser.add_argument(f"--{option}", type=int)
    parser.add_argument("--config", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
