"""What a study costs within a run: a run over many studies less one over few, which leaves out starting."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from parts.usage import Cost, score

FEW = 4
"""Studies of the short run: every decoder and every report process has had its first."""


@dataclass(frozen=True, slots=True)
class Night:
    """`study` is one more study's cost; `start` all that does not grow with their number."""

    study: Cost
    start: Cost


@dataclass(slots=True)
class Runs:
    """Costs of runs over `few` studies and over `all`, several of each: the least of each counts, since a
    neighbour on the machine makes one minute dearer and not the next, and none cheaper.

    The least long run less the least short one, and not the least difference: that would be of a turn whose
    short run was disturbed.
    """

    few: int
    all: int
    shorts: list[Cost] = field(default_factory=list)
    longs: list[Cost] = field(default_factory=list)

    @property
    def last(self) -> Cost:
        """One more study's cost in the last turn."""
        return (self.longs[-1] - self.shorts[-1]) / (self.all - self.few)

    @property
    def night(self) -> Night:
        """Exits where the machine is so noisy that more studies cost less."""
        short, long = _least(self.shorts), _least(self.longs)
        study = (long - short) / (self.all - self.few)
        if study.wall <= 0 or study.cpu < 0:
            raise SystemExit("This machine is too busy to measure: a long run cost less than a short one.")
        return Night(study, short - Cost(self.few * study.wall, self.few * study.cpu))


def measure_night(films: Sequence[Path], model: str, run: Path, *options: str) -> Night:
    """`cxrbatch score` with the first `FEW` films, with all, and with few again; `run` is the long one's.

    A first run, which is not counted, makes what is made once for a model (its OpenVINO form).
    """
    runs = begin(films, model, run, *options)
    take_turn(runs, films, model, run, *options)
    runs.shorts.append(_night(films[:FEW], model, _aside(run), options))
    return runs.night


def begin(films: Sequence[Path], model: str, run: Path, *options: str, few: int = FEW) -> Runs:
    """For turns with others: the run that is not counted, and no other yet."""
    _night(films[:1], model, _aside(run), options)
    return Runs(few, len(films))


def take_turn(
    runs: Runs, films: Sequence[Path], model: str, run: Path, *options: str, started: bool = False
) -> None:
    """A short run, and a long one in the folder `run`.

    With `started` both count from their first scored study on. Starting takes 10 to 18 s of processor time
    on one machine, and what that scatters would be shared out among the studies.
    """
    for costs, some, folder in ((runs.shorts, films[: runs.few], _aside(run)), (runs.longs, films, run)):
        costs.append(_night(some, model, folder, options, started=started))


def _aside(run: Path) -> Path:
    return run.with_name(f"{run.name}-few")


def _least(costs: Sequence[Cost]) -> Cost:
    return Cost(min(cost.wall for cost in costs), min(cost.cpu for cost in costs))


def _night(
    films: Sequence[Path], model: str, run: Path, options: Sequence[str], *, started: bool = False
) -> Cost:
    shutil.rmtree(run, ignore_errors=True)
    since = (lambda: _has_scored(run)) if started else None
    return score(*films, "--out", run, "--model", model, *options, since=since)


def _has_scored(run: Path) -> bool:
    """Whether a study stands scored in the run's ledger."""
    ledger = run / "ledger.db"
    if not ledger.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
            query = "SELECT 1 FROM studies WHERE state IN ('scored', 'reported') LIMIT 1"
            return connection.execute(query).fetchone() is not None
    except sqlite3.OperationalError:  # it is being made
        return False
