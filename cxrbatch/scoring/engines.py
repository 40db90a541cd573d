"""The engines there are, by name. Only what is asked for is imported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from cxrbatch.scoring.engine import Engine, EngineUnavailableError, Surroundings
from cxrbatch.scoring.local_engine import LocalEngine


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine, and how much of it; None leaves a choice to the engine.

    `workers` decode, and as many print reports: on this machine, or for each scorer of a cluster. `address`
    is that of a Ray cluster that is there; without one a Ray of this machine is started.
    """

    name: Literal["local", "ray"] = "local"
    workers: int | None = None
    address: str | None = None
    cpus_per_scorer: int | None = None


def open_engine(choice: EngineChoice, around: Surroundings) -> Engine:
    """Start the engine, or join it.

    Raises:
        EngineUnavailableError: it is not installed, cannot be reached, or its machines differ from this one.
    """
    if choice.name == "ray":
        if find_spec("ray") is None:
            raise EngineUnavailableError(
                "--engine ray needs Ray, which is not installed: pip install 'cxrbatch[ray]'."
            )
        from cxrbatch.scoring.on_ray.engine import RayEngine

        return RayEngine(choice.address, choice.workers, choice.cpus_per_scorer, around)
    return LocalEngine(choice.workers or len(os.sched_getaffinity(0)))
