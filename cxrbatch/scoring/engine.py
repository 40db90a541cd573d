"""What every scoring engine does: take films, give outcomes. The night does not know which engine runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxrbatch.pipeline.decoder_pool import FailedFilm, FilmFile
from cxrbatch.pipeline.decoding import DecodedFilm


@dataclass(frozen=True, slots=True)
class ScoredFilm:
    """One film's result, in the order of the card's findings.

    `probabilities` is float32 (findings,); `maps` float16 (grid rows, grid columns, findings) in logits,
    None where the model has no heat maps.
    """

    file: FilmFile
    decoded: DecodedFilm
    probabilities: NDArray[np.float32]
    maps: NDArray[np.float16] | None


class Engine(Protocol):
    """Scores films. Outcomes come in the order of the films; one that fails is an outcome too."""

    def score(self, films: Iterable[FilmFile]) -> Iterator[ScoredFilm | FailedFilm]: ...

    def close(self) -> None: ...
