"""A site's own limits, from its own films: ``film-limits-<bundle>.json`` in the site's folder of models.

The shipped limits come from the films of one hospital. What another one's films look like to the network, its
own night can tell. The file belongs to one bundle, by its hash: another model has other figures.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles import folders
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.film_check import FilmCheck, Limits, read_film_check
from cxrbatch.film_check.above import above
from cxrbatch.film_check.judgement import Judge
from cxrbatch.ledger import layout
from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.run_json import read_run_json

SCHEMA = 1
LEAST_FILMS = 200
"""Fewer do not say where their 99th percentile lies."""


class CalibrationError(Exception):
    """The run cannot give limits; the message says why."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a run's films gave: `films` of them, limits before and after, and how many each would flag.

    `sensitivity` is the share of the inverted and turned films of the bundle's making that the new limit
    still finds, and `strangest` the keys of the studies that look least like frontal films.
    """

    films: int
    before: Limits
    after: Limits
    flagged_before: int
    flagged_after: int
    sensitivity: float
    strangest: tuple[str, ...]
    file: Path


def limits_file(bundle: Bundle) -> Path:
    """Where the site's limits for this bundle are kept."""
    return folders.site_folder() / f"film-limits-{bundle.sha256[:16]}.json"


def judge_for(bundle: Bundle, check: FilmCheck, reject: bool) -> Judge:
    """The site's limits for `bundle` if it has any, else those of the bundle's own.

    Raises:
        BundleError: the site's file cannot be read, or is about another bundle.
    """
    path = limits_file(bundle)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Judge(check.limits, reject=reject)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({error}): {_REMEDY}") from error
    try:
        if content["schema"] != SCHEMA or content["bundle"]["sha256"] != bundle.sha256:
            raise ValueError("it is about another bundle, or of another version")
        limits = Limits(**{name: float(value) for name, value in content["limits"].items()})
        if not np.isfinite(list(asdict(limits).values())).all():
            raise ValueError("a limit is no number")
        return Judge(limits, f"site, {content['when']}, {content['films']} films", reject)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} cannot be used ({error}): {_REMEDY}") from error


_REMEDY = "calibrate again with `cxrbatch model calibrate-intake`, or remove it."


def calibrate(run: Path, bundle: Bundle, share: float) -> Calibration:
    """Set the site's limits so that `share` of the films of a finished run lie above each.

    The run's films are taken to be frontal and upright; what is not should be rare, and is seen in
    `Calibration.strangest`.

    Raises:
        CalibrationError: the run was not scored with `bundle`, is not finished or has too few films.
        RunJsonError, LedgerError: it is no run folder.
        OSError: the site's folder cannot be written.
    """
    check = read_film_check(bundle)
    if check is None:
        raise CalibrationError(
            f"{bundle.card.name} has no film check: fit one with `cxrbatch model fit-intake` first."
        )
    written = read_run_json(run)
    if written["state"] != "finished":
        raise CalibrationError(f"{run} is not finished: start its `cxrbatch score` command again first.")
    if written["bundle"]["sha256"] != bundle.sha256:
        raise CalibrationError(
            f"{run} was scored with {written['bundle']['name']} {written['bundle']['sha256'][:12]}, not with "
            f"{bundle.card.name} {bundle.sha256[:12]}: limits belong to one model."
        )
    wrong, atypicality, studies = _looks(run)
    if len(wrong) < LEAST_FILMS:
        raise CalibrationError(
            f"{run} has {len(wrong)} films; at least {LEAST_FILMS} are needed to say what is unusual here."
        )
    flag = above(wrong, share)
    shift = max(0.0, flag - check.limits.flag)
    after = Limits(flag, check.limits.clear + shift, above(atypicality, share))
    path = limits_file(bundle)
    content = {
        "schema": SCHEMA,
        "bundle": {"name": bundle.card.name, "version": bundle.card.version, "sha256": bundle.sha256},
        "limits": asdict(after),
        "share": share,
        "films": len(wrong),
        "run_id": written["run_id"],
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(content, indent=2) + "\n").encode())
    order = np.argsort(-wrong, kind="stable")
    return Calibration(
        films=len(wrong),
        before=check.limits,
        after=after,
        flagged_before=_flagged(wrong, atypicality, check.limits),
        flagged_after=_flagged(wrong, atypicality, after),
        sensitivity=check.sensitivity(flag),
        strangest=tuple(dict.fromkeys(studies[row] for row in order))[:5],
        file=path,
    )


def _flagged(wrong: NDArray[np.float64], atypicality: NDArray[np.float64], limits: Limits) -> int:
    return int(np.sum((wrong >= limits.flag) | (atypicality > limits.atypicality)))


def _looks(run: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    ledger = Ledger(run / layout.LEDGER)
    try:
        found: list[tuple[Any, ...]] = [
            (image.wrong, image.atypicality, study.key)
            for study, _ in ledger.studies()
            for image in study.images
            if image.wrong is not None and image.atypicality is not None
        ]
    finally:
        ledger.close()
    wrong, atypicality, studies = zip(*found, strict=True) if found else ((), (), ())
    return np.array(wrong, np.float64), np.array(atypicality, np.float64), list(studies)
