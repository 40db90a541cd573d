"""The engine of one machine: a few processes for tasks, the model in this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.chatter import imports_kept_quiet
from cxrbatch.scoring.engine import Scorer, ScoringPlan
from cxrbatch.workers import WorkerPool


class LocalEngine:
    """See `cxrbatch.scoring.engine.Engine`."""

    status = ""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def pool(
        self, *, initializer: Callable[..., object] | None = None, max_tasks: int | None = None
    ) -> WorkerPool:
        return WorkerPool(self._workers, initializer=initializer, max_tasks=max_tasks)

    def scorer(self, bundle: Bundle, plan: ScoringPlan) -> Scorer:
        # Imported here: TensorFlow takes seconds, and a run with nothing to score does not need it.
        with imports_kept_quiet():
            from cxrbatch.scoring.local_scorer import load_scorer

        return load_scorer(bundle, plan, self._workers)

    def account(self) -> dict[str, Any]:
        return {"name": "local"}

    def close(self) -> None:
        """Pools and scorer are closed by whoever opened them."""
