"""Figures with targets: printed by each benchmark, and gathered into one table by ``benchmarks/all.py``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

ROWS_FILE = "CXRBATCH_BENCH_ROWS"
"""Environment variable: where a benchmark also leaves its rows, as JSON lines."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. `value` is None where it could not be measured here; `note` says why.

    At most one of `at_least` and `at_most` is given; with neither the figure is for information.
    """

    name: str
    value: float | None
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is no target or no value."""
        if self.value is None:
            return None
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def target(self) -> str:
        """The target in words; blank where there is none."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    @property
    def shown(self) -> str:
        """The value with as many digits as it deserves."""
        if self.value is None:
            return "not measured"
        value = self.value
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
        return (
            f"{value:,.{digits}f} {self.unit}".strip() if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"
        )

    @property
    def verdict(self) -> str:
        return {True: "met", False: "MISSED", None: ""}[self.met]


def conclude(figures: Iterable[Figure]) -> None:
    """Print the figures, leave them for the table, and exit with status 1 if a target is missed."""
    figures = list(figures)
    for figure in figures:
        parts = [
            figure.shown,
            f"(target {figure.target}: {figure.verdict})" if figure.met is not None else "",
        ]
        print(f"{figure.name}: {' '.join(filter(None, [*parts, figure.note]))}", flush=True)
    where = os.environ.get(ROWS_FILE)
    if where:
        with Path(where).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(figure)) + "\n" for figure in figures)
    sys.exit(1 if any(figure.met is False for figure in figures) else 0)


def read_rows(path: Path) -> list[Figure]:
    """What `conclude` left in `path`; none where there is no such file."""
    if not path.exists():
        return []
    return [Figure(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
