"""What a study costs within a run: a run over many studies less one over few, which leaves out starting."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parts.usage import Cost, score

FEW = 4
"""Studies of the short run: every decoder and every report process has had its first."""


@dataclass(frozen=True, slots=True)
class Night:
    """`study` is one more study's cost; `start` all that does not grow with their number."""

    study: Cost
    start: Cost


def measure_night(films: Sequence[Path], model: str, run: Path, *options: str) -> Night:
    """`cxrbatch score` with the first `FEW` films, then with all; `run` is left as the long one made it.

    A first short run, which is not counted, makes what is made once for a model (its OpenVINO form).
    """
    _night(films[:1], model, run, options)
    short = _night(films[:FEW], model, run, options)
    long = _night(films, model, run, options)
    study = (long - short) / (len(films) - FEW)
    return Night(study, short - Cost(FEW * study.wall, FEW * study.cpu))


def _night(films: Sequence[Path], model: str, run: Path, options: Sequence[str]) -> Cost:
    shutil.rmtree(run, ignore_errors=True)
    return score(*films, "--out", run, "--model", model, *options)
