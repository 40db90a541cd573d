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
    """`cxrbatch score` with the first `FEW` films, with all, and with few again; `run` is the long one's.

    The cheaper of the two short runs counts: noise of the machine then speaks against us. A first run, which
    is not counted, makes what is made once for a model (its OpenVINO form).

    Exits where the machine is so noisy that more studies cost less.
    """
    aside = run.with_name(f"{run.name}-few")
    _night(films[:1], model, aside, options)
    shorts = [_night(films[:FEW], model, aside, options)]
    long = _night(films, model, run, options)
    shorts.append(_night(films[:FEW], model, aside, options))
    short = Cost(min(cost.wall for cost in shorts), min(cost.cpu for cost in shorts))
    study = (long - short) / (len(films) - FEW)
    if study.wall <= 0 or study.cpu <= 0:
        raise SystemExit("This machine is too busy to measure: a long run cost less than a short one.")
    return Night(study, short - Cost(FEW * study.wall, FEW * study.cpu))


def _night(films: Sequence[Path], model: str, run: Path, options: Sequence[str]) -> Cost:
    shutil.rmtree(run, ignore_errors=True)
    return score(*films, "--out", run, "--model", model, *options)
