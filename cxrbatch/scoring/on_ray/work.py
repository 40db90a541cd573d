"""What was done where, and how fast: for the bar, for run.json, and for the size of parcels."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cxrbatch.scoring.on_ray.stations import Scored

STAGES = {
    "decoding": "reading and decoding",
    "scoring": "forward pass",
    "storing": "writing to the run folder",
    "reports": "reports",
    "ledger": "ledger",
}
FEW_NODES = 4
"""Nodes that are named one by one in the bar."""


@dataclass(slots=True)
class _NodeWork:
    images: int = 0
    tasks: int = 0
    lost_workers: int = 0
    first: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        return self.images / max(self.last - self.first, 1e-3) if self.images else 0.0


class Work:
    """Counts. Told by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, _NodeWork] = {}
        self._busy = dict.fromkeys(STAGES, 0.0)
        self._hands: Counter[str] = Counter()
        self._begun: float | None = None
        self._films_a_second = 0.0

    def ready(self, stage: str, hands: int) -> None:
        """`hands` more can work at a stage, negative where they are lost."""
        with self._lock:
            self._hands[stage] += hands
            self._begun = self._begun or time.monotonic()

    def scored(self, node: str, scored: Scored, seconds: float) -> None:
        """A parcel came back from a node after `seconds`."""
        with self._lock:
            work = self._node(node)
            if not work.images:
                work.first = time.monotonic() - seconds
            work.images += len(scored.outcomes)
            work.last = time.monotonic()
            for stage, busy in scored.seconds.items():
                self._busy[stage] += busy
            rate = len(scored.outcomes) / max(seconds, 1e-3)
            self._films_a_second = (
                rate if not self._films_a_second else 0.7 * self._films_a_second + 0.3 * rate
            )

    def task(self, node: str, stage: str, seconds: float) -> None:
        with self._lock:
            self._node(node).tasks += 1
            self._busy[stage] += seconds

    def lost(self, node: str) -> None:
        with self._lock:
            self._node(node).lost_workers += 1

    def committed(self, seconds: float) -> None:
        """This process was busy with results for so long."""
        with self._lock:
            self._busy["ledger"] += seconds

    def films_in(self, seconds: float, least: int, most: int) -> int:
        """How many films a scorer does in so many seconds."""
        return max(least, min(most, round(self._films_a_second * seconds)))

    @property
    def slowest_stage(self) -> str:
        """The stage that was busy, or waited for, for the greatest part of the time; blank before any was."""
        with self._lock:
            if self._begun is None or not any(self._busy.values()):
                return ""
            hands = {"ledger": 1, **self._hands}
            for stage in ("decoding", "storing"):
                hands[stage] = self._hands["scoring"]
            shares = {s: self._busy[s] / max(hands.get(s, 0), 1) for s in STAGES}
            return STAGES[max(shares, key=lambda stage: shares[stage])]

    @property
    def status(self) -> str:
        with self._lock:
            rates = {name: work.rate for name, work in sorted(self._nodes.items()) if work.images}
        if not rates:
            return ""
        if len(rates) <= FEW_NODES:
            nodes = ", ".join(f"{name} {rate:.1f}/s" for name, rate in rates.items())
        else:
            nodes = f"{len(rates)} nodes, {sum(rates.values()):.1f}/s"
        return f"{nodes}; slowest: {self.slowest_stage}"

    def account(self) -> dict[str, Any]:
        """For run.json."""
        with self._lock:
            nodes = {
                name: {
                    "images": work.images,
                    "images_per_second": round(work.rate, 3),
                    "tasks": work.tasks,
                    "lost_workers": work.lost_workers,
                }
                for name, work in sorted(self._nodes.items())
            }
            seconds = {stage: round(self._busy[stage], 3) for stage in STAGES}
        return {"nodes": nodes, "busy_seconds": seconds, "slowest_stage": self.slowest_stage}

    def _node(self, name: str) -> _NodeWork:
        return self._nodes.setdefault(name, _NodeWork())
