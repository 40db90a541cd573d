"""Cross-validate the recipe of the default bundle, patient by patient, against the linear head.

    python -m tools.cross_validate_cxr_lite DATA OUT [--seed 0] [--folds 5] [--jobs 1]

For each fold of `nih` the others make the start (`cxr_lite_start`) and are trained on by `cxrbatch train`
with `models/cxr-lite/cxrbatch.toml`; the fold's films are scored once, by the command. The linear head is the
one that cxr-lite 0.1.0 was: ridge regression on ImageNet features of film and mirror image, its penalty and
share of soft targets chosen inside each fold; and beside it one that learns from labels alone. `cxrbatch
compare` judges on identical films.

Five networks differ in their level, so what is compared are percentiles within each fold; the verdict on raw
probabilities stands beside it. OUT keeps everything; the same command goes on where it was stopped. Needs the
extra `torch`.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from cxrbatch.evaluation.verdict_file import read_verdict
from tools import linear_head
from tools.cxr_lite_films import Films, deal, imagenet_features, read_films
from tools.cxr_lite_start import head_for, save_start
from tools.cxr_lite_training import cxrbatch, fill_cache, run_training
from tools.linear_head import Array, Settings

PLAIN, LINEAR, START, TRAINED = "linear_head_labels_only", "linear_head", "start", "trained"
KINDS = ("percentiles", "probabilities")
LABELS, FOLDS = "labels.csv", "folds.csv"
Grid = tuple[Settings, ...]
BASELINES: dict[str, Grid] = {
    PLAIN: tuple(Settings(penalty, 0.0) for penalty in (1.0, 3.0, 10.0, 30.0)),
    LINEAR: linear_head.GRID,
}
_BASELINE_SEED = 2026


def main() -> None:
    """Deal, train, score, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="folds that are trained at the same time")
    arguments = parser.parse_args()
    data, out = arguments.data, arguments.out
    films = read_films(data)
    features = imagenet_features(data, films, out)
    fold = deal(films, arguments.folds, arguments.seed)
    films.table.to_csv(out / LABELS, index=False)
    films.table[["Image Index"]].assign(fold=fold).to_csv(out / FOLDS, index=False)
    fill_cache(data, out / "cache", arguments.jobs)
    for number in range(arguments.folds):
        folder = out / f"fold{number}" / START
        if not (folder / "card.json").is_file():
            save_start(folder, films, features, np.flatnonzero(fold != number))

    def train(number: int) -> Path:
        folder = out / f"fold{number}"
        return run_training(data, films, fold != number, folder, folder / START)

    with ThreadPoolExecutor(arguments.jobs) as threads:
        trained = list(threads.map(train, range(arguments.folds)))
    tables = {
        name: _by_fold(films, fold, lambda rows, test, grid=grid: baseline(films, features, rows, test, grid))
        for name, grid in BASELINES.items()
    }
    tables |= {
        START: _by_fold(films, fold, lambda rows, test: head_for(films, features, rows)(features[test, 0])),
        TRAINED: pd.concat([_tested(films, folder).assign(fold=k) for k, folder in enumerate(trained)]),
    }
    tell(out, films, tables)


def baseline(
    films: Films, features: Array, train: NDArray[np.intp], test: NDArray[np.intp], grid: Grid
) -> Array:
    """(n, k) scores of a linear head on ImageNet features of film and mirror image."""
    part = films.cohort(features[:, :2]).part(train)
    settings = linear_head.choose_settings(part, _BASELINE_SEED, grid)
    held_out = linear_head.held_out(part, settings, _BASELINE_SEED)
    head = linear_head.fit_head(part, settings)
    return head.rescaled(*linear_head.shared_scale(part.labels, held_out))(features[test, 0])


def _by_fold(films: Films, fold: NDArray[np.int64], score) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    """Probabilities, every film by the model of the other folds."""
    tables = []
    for number in np.unique(fold):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        chances = 1.0 / (1.0 + np.exp(-score(train, test)))
        table = pd.DataFrame(chances, columns=list(films.findings))
        table.insert(0, "image", films.table["Image Index"].iloc[test].to_numpy())
        tables.append(table.assign(fold=number))
    return pd.concat(tables)


def _tested(films: Films, train: Path) -> pd.DataFrame:
    """What `cxrbatch train` scored its test films with."""
    table = pd.read_csv(train / "test" / "scores.csv")
    table.insert(0, "image", [Path(path).name for path in table["path"]])
    return table[["image", *films.findings]]


def percentiles(table: pd.DataFrame, findings: tuple[str, ...]) -> pd.DataFrame:
    """Each probability as its place among those of the fold's films, in (0, 1)."""
    parts = []
    for _, part in table.groupby("fold"):
        ranks = (rankdata(part[list(findings)], axis=0) - 0.5) / len(part)
        parts.append(part.assign(**dict(zip(findings, ranks.T, strict=True))))
    return pd.concat(parts)


def tell(out: Path, films: Films, tables: dict[str, pd.DataFrame]) -> None:
    """Write the pooled tables, compare, print."""
    for kind in KINDS:
        folder = out / kind
        folder.mkdir(exist_ok=True)
        for name, table in tables.items():
            kept = percentiles(table, films.findings) if kind == "percentiles" else table
            kept.drop(columns="fold").to_csv(folder / f"{name}.csv", index=False)
        for before, after in ((LINEAR, START), (LINEAR, TRAINED), (START, TRAINED), (PLAIN, TRAINED)):
            verdict = folder / f"{after}_against_{before}"
            cxrbatch(
                [
                    *("compare", str(folder / f"{before}.csv"), str(folder / f"{after}.csv")),
                    *(str(out / LABELS), "--out", str(verdict)),
                ],
                folder / "compare.log",
                allowed=(0, 5),
            )
            print(f"{kind}: {before} to {after} {_in_words(read_verdict(verdict))}", flush=True)


def _in_words(verdict: dict[str, Any]) -> str:
    primary = verdict["primary"]
    low, high = primary["ci95"]
    areas = f"{primary['macro_auroc_a']:.4f} to {primary['macro_auroc_b']:.4f}"
    return f"{areas}, {primary['difference']:+.4f} (95% interval {low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
