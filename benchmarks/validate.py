"""What a validation costs, and how the bootstrap compares with scikit-learn's AUROC in a loop.

    python benchmarks/validate.py [--images 22000] [--findings 14] [--rounds 2000] [--sklearn-rounds 8]

Writes a synthetic cohort as two tables, runs the whole of `cxrbatch validate` on them (report, figures and
PDF included) and prints seconds and peak memory: at most 60 s and 1 GB. Then `sklearn.metrics.roc_auc_score`
is called finding by finding on the first few rounds' own resampled tables; its time for all rounds is
extrapolated from those, and the figures must agree to 1e-12.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from parts.figures import Figure, conclude
from sklearn.metrics import roc_auc_score

from cxrbatch.evaluation.bootstrap import bootstrap_auroc, cluster_weights
from cxrbatch.evaluation.columns import NIH_FINDINGS
from cxrbatch.validation.inputs import Options
from cxrbatch.validation.run import validate


def main() -> None:
    """Measure and print; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=22_000)
    parser.add_argument("--findings", type=int, default=14)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--sklearn-rounds", type=int, default=8)
    arguments = parser.parse_args()
    truth, score, patients = simulated(arguments.images, arguments.findings)
    shape = f"{arguments.images} images x {arguments.findings} findings, {arguments.rounds} rounds"
    with TemporaryDirectory() as folder:
        write_tables(Path(folder), truth, score, patients)
        begun = time.perf_counter()
        options = Options(rounds=arguments.rounds, prevalence=0.02)
        validate(Path(folder, "scores.csv"), Path(folder, "labels.csv"), Path(folder, "out"), options)
        seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ratio, worst = against_sklearn(truth, score, patients, arguments.rounds, arguments.sklearn_rounds)
    conclude(
        [
            Figure(f"validate, {shape}", seconds, "s", at_most=60),
            Figure("validate, peak memory", peak, "MB", at_most=1000),
            Figure("bootstrap / roc_auc_score in a loop", ratio, "x faster", at_least=20),
            Figure("bootstrap, differs from roc_auc_score by", worst, at_most=1e-12),
        ]
    )


def simulated(images: int, findings: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and patients: prevalences of 0.2 to 15%, two images a patient, scores of 5 decimals."""
    rng = np.random.default_rng(0)
    prevalence = np.geomspace(0.15, 0.002, findings)
    truth = (rng.random((images, findings)) < prevalence).astype(float)
    score = 1 / (1 + np.exp(2.5 - rng.normal(size=truth.shape) - 1.2 * truth))
    return truth, score.round(5), rng.integers(0, images // 2, images)


def write_tables(folder: Path, truth: np.ndarray, score: np.ndarray, patients: np.ndarray) -> None:
    """``scores.csv`` and ``labels.csv`` with sex, age, view, manufacturer and site."""
    rng = np.random.default_rng(1)
    names = [f"{i:08}.png" for i in range(len(truth))]
    findings = [NIH_FINDINGS[j] if j < len(NIH_FINDINGS) else f"Finding {j}" for j in range(truth.shape[1])]
    pd.DataFrame({"image": names} | dict(zip(findings, score.T, strict=True))).to_csv(
        folder / "scores.csv", index=False
    )
    columns: dict[str, object] = {"image": names, "patient_id": patients}
    columns["sex"] = rng.choice(["F", "M"], len(truth))
    columns["age"] = rng.integers(5, 95, len(truth))
    columns["view"] = rng.choice(["PA", "AP"], len(truth))
    columns["manufacturer"] = rng.choice(["A", "B", "C"], len(truth))
    columns["site"] = rng.choice(["North", "South", "East", "West"], len(truth))
    columns |= dict(zip(findings, truth.astype(int).T, strict=True))
    pd.DataFrame(columns).to_csv(folder / "labels.csv", index=False)


def against_sklearn(
    truth: np.ndarray, score: np.ndarray, patients: np.ndarray, rounds: int, sampled: int
) -> tuple[float, float]:
    """How many times faster than scikit-learn, and the largest difference between the two."""
    begun = time.perf_counter()
    ours = bootstrap_auroc(truth, score, patients, rounds, seed=0).values
    our_seconds = time.perf_counter() - begun
    names, cluster = np.unique(patients, return_inverse=True)
    weights = cluster_weights(np.random.default_rng(0), len(names), sampled).astype(int)
    worst, their_seconds = 0.0, 0.0
    for r in range(sampled):
        rows = np.repeat(np.arange(len(truth)), weights[r][cluster])
        y, s = truth[rows], score[rows]  # drawing the table is not counted against scikit-learn
        for j in range(truth.shape[1]):
            if y[:, j].min() == y[:, j].max():
                continue
            begun = time.perf_counter()
            theirs = roc_auc_score(y[:, j], s[:, j])
            their_seconds += time.perf_counter() - begun
            worst = max(worst, abs(theirs - ours[r, j]))
    return their_seconds * rounds / sampled / our_seconds, worst


if __name__ == "__main__":
    main()
