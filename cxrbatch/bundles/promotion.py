"""Making a bundle the site's current model, and the record of who did it, when and on what grounds.

The record is a file of JSON lines that is only appended to. Each line holds the SHA-256 of the line before
it, so that a line that is changed or taken out later is seen.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cxrbatch.bundles import folders
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.errors import BundleError

RECORD_FILE = "promotions.jsonl"
_BEFORE_THE_FIRST = "0" * 64
_DIGITS = 12
"""Digits of a bundle's hash that scores.csv holds."""


class PromotionRefusedError(Exception):
    """The bundle stays out: there is no passing verdict about these two bundles. The message says why."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a checked verdict.json says: the hashes (or their first 12 digits) of the bundles compared.

    `digest` is the verdict's own; `unchecked` names inputs that are no longer where they were.
    """

    verdict: str
    passed: bool
    words: str
    margin: float
    sha256_a: str | None
    sha256_b: str | None
    digest: str
    file: str
    unchecked: tuple[str, ...] = ()
    stated: tuple[str, ...] = ()
    """Models (A, B) whose bundle only the command line of `compare` named, not the table of scores."""


def promote(
    bundle: Bundle, against: Bundle, evidence: Evidence | None, override: str | None = None
) -> dict[str, Any]:
    """Make `bundle` the site's current model in the place of `against`; returns the line of the record.

    The evidence must be a passing verdict about these two bundles, `against` as A and `bundle` as B, unless
    `override` gives a reason, which is recorded. The record comes first, then the pointer that
    ``--model current`` follows.

    Raises:
        PromotionRefusedError: the evidence does not allow it, or `against` is not the current model.
        BundleError: the record was changed, or it cannot be written.
    """
    pointer = folders.current()
    if pointer is not None and pointer.sha256 != against.sha256:
        raise PromotionRefusedError(
            f"The current model is {pointer.folder} ({pointer.sha256[:_DIGITS]}), not {against.card.name} "
            f"{against.card.version} ({against.sha256[:_DIGITS]}): compare with the current model."
        )
    reason = override.strip() if override is not None else None
    if override is not None and not reason:
        raise PromotionRefusedError("--override needs a reason, which is written to the record.")
    problem = objection(bundle, against, evidence)
    if problem is not None and reason is None:
        raise PromotionRefusedError(problem)
    folder = folders.site_folder()
    content: dict[str, Any] = {
        "schema": 1,
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "who": _account(),
        "promoted": _identity(bundle),
        "against": _identity(against),
        "verdict": None if evidence is None else _told(evidence),
        "override": reason,
        "objection": problem,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        line = _append(folder / RECORD_FILE, content)
        _point(folder / folders.CURRENT_FILE, bundle)
    except OSError as error:
        raise BundleError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return line


def objection(bundle: Bundle, against: Bundle, evidence: Evidence | None) -> str | None:
    """Why the evidence does not allow `bundle` to replace `against`; None when it does."""
    if evidence is None:
        return "There is no verdict: give --scores the folder that `cxrbatch compare` wrote, or --override."
    if not evidence.passed:
        return f"The verdict is {evidence.verdict.replace('_', '-')}: {evidence.words}"
    for letter, digest, expected in (("A", evidence.sha256_a, against), ("B", evidence.sha256_b, bundle)):
        name = f"{expected.card.name} {expected.card.version} ({expected.sha256[:_DIGITS]})"
        if not digest:
            return (
                f"The verdict does not say which bundle its scores {letter} are from: compare the "
                "scores.csv of two runs, or give `cxrbatch compare` --model-a and --model-b."
            )
        if len(digest) < _DIGITS or not expected.sha256.startswith(digest):
            return f"The verdict's model {letter} is {digest[:_DIGITS]}, not {name}."
    return None


def read_record(path: Path) -> list[dict[str, Any]]:
    """The lines of a record, oldest first; none if there is no file.

    Raises:
        BundleError: a line is malformed, or does not follow from the one before it.
    """
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = []
    before = _BEFORE_THE_FIRST
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            line = json.loads(text)
            follows = line["previous_sha256"] == before
        except (ValueError, KeyError, TypeError):
            follows = False
        if not follows:
            raise BundleError(
                f"{path}, line {number}: the record was changed after it was written: restore it."
            )
        lines.append(line)
        before = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return lines


def _append(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    read_record(path)
    existing = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    before = hashlib.sha256(existing[-1].encode("utf-8")).hexdigest() if existing else _BEFORE_THE_FIRST
    line = {**content, "previous_sha256": before}
    text = json.dumps(line, ensure_ascii=True) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, text.encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return line


def _point(path: Path, bundle: Bundle) -> None:
    """Replace the pointer in one step: a night that starts meanwhile sees the old model or the new one."""
    content = {**_identity(bundle), "folder": str(bundle.folder.resolve())}
    descriptor, draft = tempfile.mkstemp(prefix=".current-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(draft).unlink()


def _identity(bundle: Bundle) -> dict[str, str]:
    return {"name": bundle.card.name, "version": bundle.card.version, "sha256": bundle.sha256}


def _told(evidence: Evidence) -> dict[str, Any]:
    return {
        "verdict": evidence.verdict,
        "words": evidence.words,
        "margin": evidence.margin,
        "digest": evidence.digest,
        "file": evidence.file,
        "inputs_not_rechecked": list(evidence.unchecked),
        "bundles_named_by_command_line": list(evidence.stated),
    }


def _account() -> str:
    """The account that runs this; a number where the system knows no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
