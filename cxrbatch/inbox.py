"""Taking in a night's files: what is new or changed goes into the ledger, each file in one place."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from cxrbatch.deidentification.names import Names
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Candidate, Ignored, Rejection, SourceFile, Study
from cxrbatch.intake.studies import group
from cxrbatch.intake.survey import survey
from cxrbatch.intake.walk import settled
from cxrbatch.ledger.account import LeftOut
from cxrbatch.ledger.changes import file_digest, new_or_changed
from cxrbatch.ledger.known import KnownStudies
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.request import Request, RequestError
from cxrbatch.stopping import StopRequested
from cxrbatch.workers import OpenPool

_log = logging.getLogger("cxrbatch")


def take_in(
    found: Iterable[SourceFile | Rejection],
    request: Request,
    ledger: Ledger,
    bundle_sha256: str,
    open_pool: OpenPool,
    left_out: LeftOut,
    names: Names,
    stop: StopRequested,
) -> bool:
    """Look at every new or changed file, and put it into the ledger; says whether there was any.

    All of it is committed at once, with the fact that the run is not finished any more: a run killed or
    stopped in here has taken in nothing and does it again.
    What is left for another run is counted in `left_out`. The ledger is told of everything as `names` has it.
    """
    stop.check()
    now = time.time_ns()
    sources: dict[str, SourceFile] = {}
    shown: list[SourceFile] = []
    unopenable: dict[str, Rejection] = {}
    for entry in found:
        source = entry.source if isinstance(entry, Rejection) else entry
        if not settled(source, now, request.settle):
            left_out.unsettled_files += 1
            continue
        shown.append(names.source(source))
        sources[shown[-1].path] = source
        if isinstance(entry, Rejection):
            unopenable[source.path] = entry
    with ledger.at_once():
        failures = {file.path: (file.reason, file.detail) for file in ledger.rejected()}
        ignored = ledger.ignored_paths()
        opened = _forget_opened_folders(ledger, failures, names)
        changed = new_or_changed(
            ledger,
            shown,
            verify=request.verify_inputs,
            digest=names.file_digest,
            retry_failed=request.retry_failed,
        )
        wanted = [sources[source.path] for source in changed]
        results: list[Candidate | Rejection | Ignored] = []
        for result in survey([s for s in wanted if s.path not in unopenable], open_pool):
            results.append(result)
            stop.check()
        results += [unopenable[s.path] for s in wanted if s.path in unopenable]
        news = len(results)
        for result in results:
            names.remember(result.source)
            if isinstance(result, Rejection):
                source, detail = names.source(result.source), names.sentence(result.detail)
                ledger.add_rejected(source, result.reason, detail)
                news -= failures.get(source.path) == (result.reason, detail)  # tried again, as before
            elif isinstance(result, Ignored):
                source = names.source(result.source)
                ledger.add_ignored(source, names.sentence(result.what))
                news -= source.path in ignored
        candidates = [result for result in results if isinstance(result, Candidate)]
        studies = group(candidates, request.group_by, names.key)
        studies = _without_known(studies, request, bundle_sha256, left_out, names)
        for study in _within_limit(studies, request, ledger, left_out):
            names.remember_study(study)
            for image in map(names.candidate, study.images):
                ledger.add_candidate(image.source, image.header, study.key, names.study_uid(study.uid))
        is_changed = news > 0 or opened
        if is_changed or ledger.pending(limit=1) or ledger.unreported():
            ledger.record_fact("finished", None)
        names.commit()
    _log.info("Found %d files, %d of them new or changed.", len(shown), news)
    return is_changed


def _forget_opened_folders(ledger: Ledger, failures: Mapping[str, tuple[Reason, str]], names: Names) -> bool:
    """A folder that could not be listed has a row of its own, until it can: then its files have theirs."""
    opened = [
        path
        for path, (reason, _) in failures.items()
        if reason is Reason.UNREADABLE and _can_be_listed(names.real_path(path))
    ]
    for path in opened:
        ledger.forget(path)
    return bool(opened)


def _can_be_listed(path: str) -> bool:
    return os.access(path, os.R_OK | os.X_OK) and Path(path).is_dir()


def _without_known(
    studies: list[Study], request: Request, bundle_sha256: str, left_out: LeftOut, names: Names
) -> list[Study]:
    """The studies that no earlier run has scored (``--skip-known``)."""
    if request.skip_known is None:
        return studies
    if not request.skip_known.is_dir():
        raise RequestError(f"--skip-known {request.skip_known}: there is no such folder.")
    with KnownStudies(request.skip_known, bundle_sha256, except_for=request.out) as known:
        new = [study for study in studies if not _is_known(study, known, names)]
    left_out.known_studies += len(studies) - len(new)
    left_out.known_files += _file_count(studies) - _file_count(new)
    return new


def _is_known(study: Study, known: KnownStudies, names: Names) -> bool:
    """Whether each file of the study was scored before, byte for byte.

    A DICOM study's key is that of its UID, so a study of a new UID needs no digests.
    """
    if study.uid and not known.may_hold(study.key):
        return False
    try:
        return known.hold(names.digest(file_digest(image.source.path)) for image in study.images)
    except OSError:
        return False  # it will be read again when it is scored, and its failure recorded then


def _within_limit(studies: list[Study], request: Request, ledger: Ledger, left_out: LeftOut) -> list[Study]:
    """As many studies as ``--limit`` leaves room for, those already taken in counted."""
    if request.limit is None:
        return studies
    room = max(0, request.limit - ledger.study_count())
    left_out.beyond_limit_files += _file_count(studies[room:])
    return studies[:room]


def _file_count(studies: list[Study]) -> int:
    return sum(len(study.images) for study in studies)
