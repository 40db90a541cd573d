"""What an engine is: where a night's work is done, on one machine or on many. No other room knows which.

A night opens one engine, and asks it for two things: processes for small independent tasks (headers,
reports), and a scorer for its films. A third engine is one more file with these two, and a line in
`engines.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.film_check import Look
from cxrbatch.pipeline.decoder_pool import DECODE_TIMEOUT, FailedFilm, FilmFile
from cxrbatch.pipeline.decoding import DecodedFilm
from cxrbatch.scoring.predictor import Runtime
from cxrbatch.workers import Executor


@dataclass(frozen=True, slots=True)
class ScoredFilm:
    """One film's result, in the order of the card's findings.

    `probabilities` is float32 (findings,); `maps` float16 (grid rows, grid columns, findings) in logits,
    None where the model has no heat maps. Once it is kept (`Keep`) what is large about it lies in the run
    folder, and `maps` and the display picture are left out here; `has_maps` says whether there are any.
    """

    file: FilmFile
    decoded: DecodedFilm
    probabilities: NDArray[np.float32]
    maps: NDArray[np.float16] | None
    has_maps: bool = False
    look: Look | None = None
    """Whether it looks like a frontal chest film; None where the bundle has no film check."""


Outcome = ScoredFilm | FailedFilm
Keep = Callable[[ScoredFilm], ScoredFilm]
"""Puts what is large about a film's result into the run folder, where it was scored, and gives the rest."""


class EngineUnavailableError(Exception):
    """The engine asked for cannot be used (wrong usage, exit code 2); the message says what to do."""


class EngineLostError(Exception):
    """The engine is gone in mid-run (exit code 1); the message says what to do. What is committed is kept."""


@dataclass(frozen=True, slots=True)
class ScoringPlan:
    """How films are to be scored. Picklable: it travels to wherever that is done.

    `threads` (of one forward pass) and `batch_size` None leave the choice to the runtime; a resumed run says
    what it began with. `processors` is how many each model is to keep busy, None standing for all there are.
    `model` is the bundle's name or folder, by which other machines find it.
    """

    model: str
    keep: Keep
    runtime: Runtime = "auto"
    batch_size: int | None = None
    threads: int | None = None
    mixed_precision: bool = False
    processors: int | None = None
    decode_timeout: float = DECODE_TIMEOUT
    fast_decode: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every machine must have in common with this one: the run folder, the inputs, the bundle.

    `preload` are modules that processes for tasks have imported before they are started.
    """

    run: Path
    inputs: tuple[str, ...]
    bundle: Bundle
    model: str
    preload: tuple[str, ...] = ()
    stopping: Callable[[], bool] = bool
    """Whether the run was asked to stop: nothing is waited for any more."""


class Scorer(Protocol):
    """A loaded model and all that feeds it."""

    @property
    def arithmetic(self) -> dict[str, Any]:
        """What scores depend on besides pixels and bundle (contract 3.3): the same on a resume."""

    def score(self, films: Iterable[FilmFile]) -> Iterator[Outcome]:
        """An outcome for each film, in their order, kept already. `films` is sorted by ordinal, may be read
        far ahead, and only by the calling thread.

        Raises:
            OSError: what is to be kept cannot be written.
            EngineLostError: nothing is left to score with.
        """

    def close(self) -> None:
        """Drop what is in work."""


class Engine(Protocol):
    """Where a night's work is done."""

    def pool(
        self, *, initializer: Callable[..., object] | None = None, max_tasks: int | None = None
    ) -> Executor:
        """Processes for tasks; see `cxrbatch.workers.WorkerPool`."""

    def scorer(self, bundle: Bundle, plan: ScoringPlan) -> Scorer:
        """Load the model.

        Raises:
            ValueError, BundleError: as `cxrbatch.scoring.predictor.load_predictor`.
            EngineLostError: nothing is there to load it.
        """

    @property
    def status(self) -> str:
        """For the progress bar, beside the count; blank where there is nothing to add to that."""

    def account(self) -> dict[str, Any]:
        """For run.json: what did the work, and how fast."""

    def close(self) -> None:
        """Leave nothing behind."""
