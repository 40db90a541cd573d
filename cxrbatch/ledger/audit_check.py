"""Checking ``audit.jsonl``: whether any line was altered, removed or moved since it was written.

The chain has no secret: whoever may write the file can write a whole new one. So the check is worth as
much as the digest it is held against: that of an audit.pdf which left the machine says most.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from cxrbatch.ledger import layout
from cxrbatch.ledger.audit_log import AFTER_TORN, FIRST, is_torn, line_digest, read_lines
from cxrbatch.ledger.run_json import RunJsonError, read_run_json

SHORTEST_EXPECTED = 12
"""Hex digits of the digest that have to be given."""


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What was found. `problems` is empty for a log that is whole; `remarks` are no sign of tampering."""

    lines: int
    newest: str
    problems: tuple[str, ...]
    remarks: tuple[str, ...]


def check_audit_log(run: Path, expected: str = "") -> AuditCheck:
    """Follow the chain of a run's audit log.

    Args:
        run: the run folder.
        expected: digest of a line as audit.pdf or audit.html printed it, or its first digits; spaces
            and case do not matter. Without it the one that run.json records is looked for.

    Raises:
        ValueError: `expected` is no digest, or shorter than `SHORTEST_EXPECTED`.
        OSError: the log cannot be read.
    """
    wanted = "".join(expected.split()).lower()
    if expected and not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_EXPECTED},64}}", wanted):
        raise ValueError(
            f"A digest has {SHORTEST_EXPECTED} to 64 hexadecimal digits. Received: {expected!r}."
        )
    path = run / layout.AUDIT_LOG
    lines = read_lines(path)
    torn_end = is_torn(path)
    problems, remarks = _follow(lines, torn_end)
    if not lines:
        problems.append("The audit log is missing or empty.")
    digests = [line_digest(line) for line in lines]
    source = "the digest given"
    if not wanted:
        wanted, source = _recorded(run), "the digest that run.json records"
    if wanted:
        found = [number for number, digest in enumerate(digests, 1) if digest.startswith(wanted)]
        if not found:
            problems.append(
                f"No line has {source} ({wanted[:SHORTEST_EXPECTED]}): lines at the end were removed or "
                "altered."
            )
        elif found[-1] < len(lines):
            remarks.append(f"{len(lines) - found[-1]} lines were added after the one with {source}.")
    elif lines:
        remarks.append(
            "No digest to hold the last line against: give the one that audit.pdf shows (--expect)."
        )
    return AuditCheck(len(lines), digests[-1] if digests else FIRST, tuple(problems), tuple(remarks))


def _follow(lines: list[bytes], torn_end: bool) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    remarks: list[str] = []
    previous = FIRST
    parsed = [_parse(line) for line in lines]
    for number, (line, content) in enumerate(zip(lines, parsed, strict=True), 1):
        if content is None:
            after = parsed[number] if number < len(parsed) else None
            if (number == len(lines) and torn_end) or (after is not None and after.get(AFTER_TORN) is True):
                remarks.append(f"Line {number} is torn: a crash cut it short while it was written.")
            else:
                problems.append(f"Line {number} is no record of cxrbatch: it was altered.")
        elif content.get("previous") != previous:
            what = (
                "the first line is missing" if number == 1 else f"line {number - 1} is not the one before it"
            )
            problems.append(f"Line {number} does not follow: {what}; a line was altered, removed or moved.")
        previous = line_digest(line)
    return problems, remarks


def _parse(line: bytes) -> dict[str, object] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) and "event" in content else None


def _recorded(run: Path) -> str:
    """The newest digest when the run was last finished; blank where run.json does not say."""
    try:
        audit = read_run_json(run).get("audit_log")
    except RunJsonError:
        return ""
    newest = audit.get("newest_line_sha256") if isinstance(audit, dict) else None
    return newest if isinstance(newest, str) else ""
