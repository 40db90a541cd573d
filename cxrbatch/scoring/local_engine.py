"""The engine of one machine: a pool of decoding processes feeds one predictor in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np

from cxrbatch.intake.reasons import Reason
from cxrbatch.pipeline.decoder_pool import DECODE_TIMEOUT, DecoderPool, FailedFilm, FilmFile
from cxrbatch.pipeline.decoding import DecodedFilm, UndecodedFilm
from cxrbatch.pipeline.feed import batches
from cxrbatch.pipeline.geometry import enough_pixels
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.scoring.engine import ScoredFilm
from cxrbatch.scoring.predictor import Prediction, Predictor


class LocalEngine:
    """See `cxrbatch.scoring.engine.Engine`."""

    def __init__(
        self,
        predictor: Predictor,
        spec: InputSpec,
        workers: int,
        decode_timeout: float = DECODE_TIMEOUT,
        fast_decode: bool = False,
    ) -> None:
        self._predictor = predictor
        self._spec = spec
        least_size = partial(enough_pixels, spec=spec) if fast_decode else None
        self._decoders = DecoderPool(workers, decode_timeout, least_size)

    def score(self, films: Iterable[FilmFile]) -> Iterator[ScoredFilm | FailedFilm]:
        for batch in batches(films, self._decoders.decode, self._spec, self._predictor.batch_size):
            prediction = self._predictor(batch.inputs)
            for position, slot in enumerate(batch.slots):
                if isinstance(slot, FailedFilm):
                    yield slot
                elif slot is not None:
                    yield _outcome(*slot, prediction, position)

    def close(self) -> None:
        self._decoders.close()


def _outcome(
    file: FilmFile, decoded: DecodedFilm, prediction: Prediction, position: int
) -> ScoredFilm | FailedFilm:
    probabilities = prediction.probabilities[position]
    if not np.isfinite(probabilities).all():
        detail = (
            "The model gave no number for this film, though it decodes. Report it with the bundle's name."
        )
        return FailedFilm(file, UndecodedFilm(Reason.MODEL_FAILED, detail, decoded.file_sha256))
    maps = None if prediction.maps is None else prediction.maps[position].astype(np.float16)
    return ScoredFilm(file, decoded, probabilities, maps)
