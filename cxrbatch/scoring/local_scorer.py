"""Scoring in one process: a pool of decoding processes feeds one predictor here, several passes at a time."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.intake.reasons import Reason
from cxrbatch.pipeline.decoder_pool import DECODE_TIMEOUT, DecoderPool, FailedFilm, FilmFile
from cxrbatch.pipeline.decoding import DecodedFilm, UndecodedFilm
from cxrbatch.pipeline.feed import batches
from cxrbatch.pipeline.geometry import enough_pixels
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.scoring.engine import Keep, Outcome, ScoredFilm, ScoringPlan
from cxrbatch.scoring.predictor import Prediction, Predictor, load_predictor

PAGE = 1024
"""Films that are planned ahead at once: bounds the memory however long the night."""


class LocalScorer:
    """See `cxrbatch.scoring.engine.Scorer`. Without `keep` outcomes come whole, and nothing is written."""

    def __init__(
        self,
        predictor: Predictor,
        spec: InputSpec,
        workers: int,
        decode_timeout: float = DECODE_TIMEOUT,
        fast_decode: bool = False,
        keep: Keep | None = None,
    ) -> None:
        self._predictor = predictor
        self._spec = spec
        self._keep = keep
        least_size = partial(enough_pixels, spec=spec) if fast_decode else None
        self._decoders = DecoderPool(workers, spec, decode_timeout, least_size)

    @classmethod
    def of(cls, predictor: Predictor, spec: InputSpec, plan: ScoringPlan, workers: int) -> LocalScorer:
        """As `plan` says, with `workers` decoding processes."""
        return cls(predictor, spec, workers, plan.decode_timeout, plan.fast_decode, plan.keep)

    @property
    def arithmetic(self) -> dict[str, Any]:
        predictor = self._predictor
        return {
            "runtime": predictor.runtime_version,
            "threads": predictor.threads,
            "batch_size": predictor.batch_size,
            "precision": predictor.precision,
            "machine": platform.machine(),
        }

    def score(self, films: Iterable[FilmFile]) -> Iterator[Outcome]:
        remaining = iter(films)  # read here: TensorFlow would do so in a thread of its own
        while page := list(islice(remaining, PAGE)):
            for outcome in self._outcomes(page):
                if self._keep is not None and isinstance(outcome, ScoredFilm):
                    yield self._keep(outcome)
                else:
                    yield outcome

    def _outcomes(self, films: list[FilmFile]) -> Iterator[Outcome]:
        fed = batches(films, self._decoders.decode, self._spec, self._predictor.batch_size)
        for batch, prediction in self._predictor.predict(fed):
            for position, slot in enumerate(batch.slots):
                if isinstance(slot, FailedFilm):
                    yield slot
                elif slot is not None:
                    yield _outcome(*slot, prediction, position)

    def close(self) -> None:
        self._decoders.close()


def load_scorer(bundle: Bundle, plan: ScoringPlan, workers: int) -> LocalScorer:
    """Load the model; raises as `load_predictor`."""
    predictor = load_predictor(
        bundle, plan.runtime, plan.batch_size, plan.threads, plan.mixed_precision, plan.processors
    )
    return LocalScorer.of(predictor, bundle.card.input, plan, workers)


def _outcome(file: FilmFile, decoded: DecodedFilm, prediction: Prediction, position: int) -> Outcome:
    probabilities = prediction.probabilities[position]
    if not np.isfinite(probabilities).all():
        detail = (
            "The model gave no number for this film, though it decodes. Report it with the bundle's name."
        )
        return FailedFilm(file, UndecodedFilm(Reason.MODEL_FAILED, detail, decoded.file_sha256))
    maps = None if prediction.maps is None else prediction.maps[position].astype(np.float16)
    look = None if prediction.looks is None else prediction.looks[position]
    return ScoredFilm(file, decoded, probabilities, maps, look=look)
