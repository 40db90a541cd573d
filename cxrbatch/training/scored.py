"""Films of validation and test, scored by what a night scores with, so that nothing differs from serving."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.intake.records import Candidate, ImageHeader, Patient, SourceFile, View
from cxrbatch.intake.studies import study_key
from cxrbatch.ledger import tables
from cxrbatch.ledger.layout import image_key
from cxrbatch.ledger.records import ScoredImage, StudyRecord
from cxrbatch.pipeline.decoder_pool import FailedFilm
from cxrbatch.training.records import BrokenOffError, Cohort


@dataclass(frozen=True)
class ScoredFilms:
    """Films that were scored, in the cohort's order.

    `rows` (n,) of the cohort; `probabilities` float32 (n, k), raw; `highest` float32 (n, k), the largest
    value of each heat map (logits), None where the model has none; `sizes` (rows, columns) of the films;
    `notes` are those of decoding, `digests` the SHA-256 of files. `failed` are rows that did not decode or
    got no number.
    """

    rows: NDArray[np.intp]
    probabilities: NDArray[np.float32]
    highest: NDArray[np.float32] | None
    sizes: tuple[tuple[int, int], ...]
    notes: tuple[tuple[str, ...], ...]
    digests: tuple[str, ...]
    failed: tuple[int, ...] = ()

    def without(self, digests: frozenset[str]) -> ScoredFilms:
        """The same without films whose file is one of these. Raises BrokenOffError when none is left."""
        kept = [i for i, digest in enumerate(self.digests) if digest not in digests]
        if not kept:
            raise BrokenOffError(
                "Every film that is to be judged by was also trained on, under another name."
            )
        return replace(
            self,
            rows=self.rows[kept],
            probabilities=self.probabilities[kept],
            highest=None if self.highest is None else self.highest[kept],
            sizes=tuple(self.sizes[i] for i in kept),
            notes=tuple(self.notes[i] for i in kept),
            digests=tuple(self.digests[i] for i in kept),
        )


def score_films(
    bundle: Bundle,
    cohort: Cohort,
    rows: NDArray[np.intp],
    workers: int,
    progress: Callable[[], None] = lambda: None,
) -> ScoredFilms:
    """Score `rows` of the cohort with `bundle` through predictor and engine of `cxrbatch score`.

    Raises:
        BrokenOffError: not one of the films could be scored.
        BundleError: the bundle misses its golden output on this machine.
    """
    from cxrbatch.scoring.local_scorer import LocalScorer
    from cxrbatch.scoring.predictor import load_predictor

    engine = LocalScorer(load_predictor(bundle), bundle.card.input, workers)
    found, failed = [], []
    try:
        for outcome in engine.score([cohort.films[row] for row in rows]):
            progress()
            if isinstance(outcome, FailedFilm):
                failed.append(outcome.file.ordinal)
            else:
                found.append(outcome)
    finally:
        engine.close()
    if not found:
        raise BrokenOffError(f"None of {len(rows)} films that are to be judged could be scored.")
    maps = [outcome.maps for outcome in found if outcome.maps is not None]
    return ScoredFilms(
        rows=np.array([outcome.file.ordinal for outcome in found], np.intp),
        probabilities=np.stack([outcome.probabilities for outcome in found]),
        highest=np.stack([one.max(axis=(0, 1)) for one in maps]).astype(np.float32) if maps else None,
        sizes=tuple((outcome.decoded.rows, outcome.decoded.columns) for outcome in found),
        notes=tuple(outcome.decoded.notes for outcome in found),
        digests=tuple(outcome.decoded.file_sha256 for outcome in found),
        failed=tuple(failed),
    )


def write_score_tables(folder: Path, cohort: Cohort, scored: ScoredFilms, bundle: Bundle) -> None:
    """``scores.csv``, and ``calibrated.csv`` where the card has a calibration, as a run folder has them."""
    folder.mkdir(parents=True, exist_ok=True)
    members: dict[str, list[ScoredImage]] = defaultdict(list)
    for position in range(len(scored.rows)):
        image = _image(cohort, scored, position)
        members[image.study_key].append(image)
    studies = [
        StudyRecord(key, images[0].header.study_uid, tuple(sorted(images, key=lambda image: image.path)))
        for key, images in sorted(members.items())
    ]
    label = tables.bundle_label(bundle.card, bundle.sha256)
    tables.write_scores(folder, studies, bundle.card, label)
    tables.write_calibrated(folder, studies, bundle.card, label)


def _image(cohort: Cohort, scored: ScoredFilms, position: int) -> ScoredImage:
    row = int(scored.rows[position])
    film = cohort.films[row]
    header = ImageHeader(
        kind=film.kind,
        rows=film.rows,
        columns=film.columns,
        study_uid=cohort.study_uids[row],
        image_uid=cohort.image_uids[row],
        view=View(cohort.views[row]),
        patient=Patient(id=cohort.patient_ids[row]),
    )
    key = study_key(Candidate(SourceFile(film.path, 0, 0, 0), header))
    rows, columns = scored.sizes[position]
    return ScoredImage(
        path=film.path,
        study_key=key,
        image_key=image_key(film.path),
        header=header,
        rows=rows,
        columns=columns,
        probabilities=tuple(scored.probabilities[position].tolist()),
        display_file="",
        maps_file=None,
        notes=scored.notes[position],
    )
