"""A hospital's folder and its labels brought together: what is trained on, and what is left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.columns import IdKind
from cxrbatch.evaluation.delimited import fold
from cxrbatch.evaluation.labels import Labels, read_labels
from cxrbatch.evaluation.matching import match
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Candidate, Rejection, SourceFile
from cxrbatch.intake.studies import percent_encode
from cxrbatch.intake.survey import survey
from cxrbatch.intake.walk import InputNotFoundError, walk
from cxrbatch.pipeline.decoder_pool import FilmFile
from cxrbatch.progress import Progress
from cxrbatch.training.copies import same_files
from cxrbatch.training.notices import listed
from cxrbatch.training.records import NO_SIDE, Account, Cohort, TrainingError
from cxrbatch.training.selection import without_copies
from cxrbatch.training.soft_targets import read_soft_targets
from cxrbatch.training.splits import given_split, group_patients
from cxrbatch.workers import WorkerPool


def read_cohort(
    images: Path,
    labels: Path,
    findings: Sequence[str] | None = None,
    soft_targets: Path | None = None,
    workers: int = 1,
    exclude: Sequence[Path] = (),
) -> Cohort:
    """Find, screen and match: every film below `images` that `score` would score and that has labels.

    A patient is the labels' patient ID, else the header's, else the study, else the film itself. `sides` are
    those of the labels' column `split`, or `NO_SIDE`: see `selection.with_sides`. A row of labels that knows
    none of the findings, and has no soft target either, counts as none. Of files with the same bytes one is
    kept (`selection.without_copies`).

    Args:
        findings: those to train, in this order; None for all that the labels have.
        exclude: folders below `images` that are not entered, such as what training writes.

    Raises:
        TrainingError: no such folder, no film in it, none with labels, an unknown finding, copies with other
            labels, or a split that does not hold (`given_split`).
        TableError: a table cannot be used as it is, two rows or two files are one, ...
    """
    table = read_labels(labels, findings or ())
    columns = _columns(table, findings)
    candidates, not_used, copies = _screened(images, workers, exclude)
    paths = [percent_encode(candidate.source.path) for candidate in candidates]
    ids = {
        IdKind.PATH: paths,
        IdKind.IMAGE_UID: [candidate.header.image_uid for candidate in candidates],
        IdKind.STUDY_UID: [candidate.header.study_uid for candidate in candidates],
    }
    matching = match(table, ids)
    rows, partner = matching.scored_rows, matching.label_rows
    matrix = table.matrix[partner][:, columns].astype(np.float32)
    names = tuple(table.findings[j] for j in columns)
    matched = {kind: [column[row] for row in rows] for kind, column in ids.items()}
    soft = None if soft_targets is None else read_soft_targets(soft_targets, matched, names)
    told = ~np.isnan(matrix).all(axis=1)
    if soft is not None:
        told |= ~np.isnan(soft).all(axis=1)
    if not told.any():
        raise TrainingError(_why_none(images, table, paths, not_used, len(rows)))
    silent = tuple(paths[row] for row in rows[~told])
    kept = [candidates[row] for row in rows[told]]
    partner = partner[told]
    patient_ids = _patient_ids(table, partner, kept)
    patients = _patients(patient_ids, kept)
    account = Account(
        rows_in_labels=len(table.ids),
        images_found=len(candidates),
        labels_without_image=matching.unmatched_labels,
        images_without_labels=tuple(sorted((*matching.unmatched_scored, *silent))),
        not_used=not_used,
    )
    cohort = Cohort(
        films=tuple(_film(i, candidate) for i, candidate in enumerate(kept)),
        findings=names,
        labels=matrix[told],
        soft=None if soft is None else soft[told],
        patients=patients,
        patient_ids=patient_ids,
        image_uids=tuple(candidate.header.image_uid for candidate in kept),
        study_uids=tuple(candidate.header.study_uid for candidate in kept),
        views=tuple(candidate.header.view.value for candidate in kept),
        sides=_given_sides(table, partner, patients),
        labels_path=labels,
        account=account,
    )
    by_path = {film.path: film for film in cohort.films}
    groups = ([by_path[path] for path in group if path in by_path] for group in copies)
    return without_copies(cohort, [group for group in groups if len(group) > 1])


def _columns(table: Labels, findings: Sequence[str] | None) -> list[int]:
    """Which columns of the labels are trained, in the order asked for."""
    if findings is None:
        return list(range(len(table.findings)))
    position = {fold(name): j for j, name in enumerate(table.findings)}
    missing = [name for name in findings if fold(name) not in position]
    if missing:
        raise TrainingError(
            f"{table.path} has no labels for {', '.join(missing)}; it has {', '.join(table.findings)}."
        )
    twice = [name for name, count in Counter(map(fold, findings)).items() if count > 1]
    if twice or not findings:
        what = f"{', '.join(twice)} twice" if twice else "none"
        raise TrainingError(f"The findings to train must be named once each. Received: {what}.")
    return [position[fold(name)] for name in findings]


def _screened(
    images: Path, workers: int, exclude: Sequence[Path]
) -> tuple[list[Candidate], dict[str, int], list[list[str]]]:
    """What intake takes below `images`, by path; by reason code, how many files it does not; and which paths
    hold the same bytes."""
    try:
        found = walk([images], exclude=exclude)
    except InputNotFoundError as error:
        raise TrainingError(f"--images: {error}") from error
    sources: list[SourceFile] = []
    not_used: Counter[str] = Counter()
    for entry in found:
        if isinstance(entry, Rejection):
            not_used[entry.reason.value] += 1
        else:
            sources.append(entry)
    candidates = []
    with Progress("Reading headers", len(sources), "file") as progress:
        for result in survey(sources, partial(WorkerPool, workers)):
            progress.step()
            if isinstance(result, Candidate):
                candidates.append(result)
            elif isinstance(result, Rejection):
                not_used[result.reason.value] += 1
    copies = same_files([candidate.source for candidate in candidates], workers)
    twins = _twins(candidates, copies)
    kept = [candidate for row, candidate in enumerate(candidates) if row not in twins]
    if twins:
        not_used[Reason.DUPLICATE.value] += len(twins)
    told = dict(sorted(not_used.items()))
    if not kept:
        reasons = f" ({listed(told)} not used)" if told else ""
        raise TrainingError(
            f"There is no frontal chest radiograph in DICOM, PNG or JPEG below {images}{reasons}: look "
            "whether it is the right folder."
        )
    return kept, told, [[candidates[row].source.path for row in group] for group in copies]


def _twins(candidates: Sequence[Candidate], copies: Sequence[Sequence[int]]) -> set[int]:
    """Further copies of a file under the same UID or name: labels could not tell them apart."""
    found: set[int] = set()
    for group in copies:
        names: set[str] = set()
        for row in group:
            header, path = candidates[row].header, candidates[row].source.path
            name = header.image_uid or path.rpartition("/")[2]
            if name in names:
                found.add(row)
            names.add(name)
    return found


def _why_none(
    images: Path, table: Labels, paths: Sequence[str], not_used: dict[str, int], matched: int
) -> str:
    if matched:
        return (
            f"The {matched} images below {images} that are in {table.path} have no label that is known: all "
            "their cells of the findings to train are blank."
        )
    left_out = f"; {listed(not_used)} were screened out" if not_used else ""
    return (
        f"None of the {len(table.ids)} ids in {table.path} (such as {table.ids[0]!r}) is that of one of the "
        f"{len(paths)} images below {images} (such as {paths[0].rpartition('/')[2]!r}{left_out}): look "
        "whether they belong together."
    )


def _patient_ids(table: Labels, partner: NDArray[np.intp], kept: Sequence[Candidate]) -> tuple[str, ...]:
    """As written: the labels' before the header's; "" where neither has one."""
    return tuple(
        (table.patient_ids[row] if table.patient_ids else "") or candidate.header.patient.id
        for row, candidate in zip(partner, kept, strict=True)
    )


def _patients(patient_ids: Sequence[str], kept: Sequence[Candidate]) -> tuple[str, ...]:
    """Folded. A film without an ID is of its study's patient; the colons keep the rest apart from any ID."""
    folded = group_patients(patient_ids)
    of_study = {
        candidate.header.study_uid: name for name, candidate in zip(folded, kept, strict=True) if name
    }
    return tuple(
        name
        or of_study.get(candidate.header.study_uid or "-")
        or (f"study:{candidate.header.study_uid}" if candidate.header.study_uid else f"film:{i}")
        for i, (name, candidate) in enumerate(zip(folded, kept, strict=True))
    )


def _given_sides(table: Labels, partner: NDArray[np.intp], patients: Sequence[str]) -> NDArray[np.int8]:
    column = next((name for name in table.table.columns if fold(str(name)) == "split"), None)
    values = [] if column is None else [str(table.table[column].iloc[row]) for row in partner]
    if not any(values):
        return np.full(len(partner), NO_SIDE, dtype=np.int8)
    return given_split(values, patients, [table.lines[row] for row in partner])


def _film(ordinal: int, candidate: Candidate) -> FilmFile:
    header = candidate.header
    return FilmFile(ordinal, candidate.source.path, header.kind, header.rows, header.columns)
