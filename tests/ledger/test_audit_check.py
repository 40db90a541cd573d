"""Tampering with the audit log, line by line; digests are computed here, not by the code under test."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from cxrbatch.ledger.audit_check import check_audit_log
from cxrbatch.ledger.audit_log import append_event
from cxrbatch.ledger.run_json import write_run_json

EVENTS = ("started", "stopped", "resumed", "finished", "reported")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for event in EVENTS:
        append_event(tmp_path, event, {"run_id": "r"})
    return tmp_path


def _lines(run: Path) -> list[bytes]:
    return (run / "audit.jsonl").read_bytes().splitlines()


def _write(run: Path, lines: list[bytes]) -> None:
    (run / "audit.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def _newest(run: Path) -> str:
    return hashlib.sha256(_lines(run)[-1]).hexdigest()


def test_a_whole_log_is_whole(run: Path) -> None:
    found = check_audit_log(run, _newest(run))
    assert (found.lines, found.newest, found.problems, found.remarks) == (5, _newest(run), (), ())


def test_appending_gives_the_digest_of_the_line(run: Path) -> None:
    assert append_event(run, "resumed", {}) == _newest(run)


@pytest.mark.parametrize("number", range(4))
def test_an_altered_line_is_found(run: Path, number: int) -> None:
    lines = _lines(run)
    changed = json.loads(lines[number]) | {"user": "somebody else"}
    lines[number] = json.dumps(changed, sort_keys=True).encode()
    _write(run, lines)
    [problem] = check_audit_log(run).problems
    assert f"Line {number + 2} does not follow" in problem


@pytest.mark.parametrize("number", range(4))
def test_a_single_bit_is_found(run: Path, number: int) -> None:
    lines = _lines(run)
    for position in range(0, len(lines[number]), 3):
        changed = bytearray(lines[number])
        changed[position] ^= 1
        if changed[position] == ord("\n"):
            continue
        _write(run, [*lines[:number], bytes(changed), *lines[number + 1 :]])
        assert check_audit_log(run).problems, position


@pytest.mark.parametrize("number", range(4))
def test_a_removed_line_is_found(run: Path, number: int) -> None:
    lines = _lines(run)
    _write(run, lines[:number] + lines[number + 1 :])
    assert check_audit_log(run).problems


@pytest.mark.parametrize("number", range(4))
def test_reordered_lines_are_found(run: Path, number: int) -> None:
    lines = _lines(run)
    lines[number], lines[number + 1] = lines[number + 1], lines[number]
    _write(run, lines)
    assert check_audit_log(run).problems


def test_a_line_that_was_put_in_or_doubled_is_found(run: Path) -> None:
    lines = _lines(run)
    for number in range(5):
        _write(run, [*lines[:number], lines[number], *lines[number:]])
        assert check_audit_log(run).problems, number


@pytest.mark.parametrize("kept", range(5))
def test_missing_last_lines_are_found_by_the_printed_digest(run: Path, kept: int) -> None:
    printed = _newest(run)
    _write(run, _lines(run)[:kept])
    assert not kept or not check_audit_log(run).problems  # the chain alone cannot tell
    assert any("removed" in problem for problem in check_audit_log(run, printed).problems)


def test_missing_last_lines_are_found_by_run_json(run: Path) -> None:
    write_run_json(run, {"audit_log": {"newest_line_sha256": _newest(run)}})
    assert not check_audit_log(run).problems
    _write(run, _lines(run)[:-1])
    assert check_audit_log(run).problems


def test_an_altered_last_line_is_found_by_the_printed_digest(run: Path) -> None:
    printed, lines = _newest(run), _lines(run)
    _write(run, [*lines[:-1], lines[-1].replace(b"reported", b"finished")])
    assert check_audit_log(run, printed).problems


def test_a_chain_made_anew_is_found_by_the_printed_digest(run: Path) -> None:
    """Whoever may write the file can make another whole chain: only the paper knows."""
    printed = _newest(run)
    (run / "audit.jsonl").unlink()
    for event in EVENTS:
        append_event(run, event, {"run_id": "another"})
    assert not check_audit_log(run).problems
    assert check_audit_log(run, printed).problems


def test_lines_added_since_the_printing_are_told_and_no_problem(run: Path) -> None:
    printed = _newest(run)
    append_event(run, "reported", {})
    append_event(run, "resumed", {})
    found = check_audit_log(run, printed)
    assert not found.problems
    assert found.remarks == ("2 lines were added after the one with the digest given.",)


def test_a_digest_copied_from_paper_is_understood(run: Path) -> None:
    printed = _newest(run).upper()
    assert not check_audit_log(run, f"{printed[:30]} {printed[30:]}\n").problems
    assert not check_audit_log(run, printed[:12]).problems
    for wrong in (printed[:11], printed + "0", "g" * 64):
        with pytest.raises(ValueError, match="hexadecimal"):
            check_audit_log(run, wrong)


def test_a_torn_last_line_is_no_tampering(run: Path) -> None:
    lines = _lines(run)
    for length in range(1, len(lines[-1]) - 1, 7):
        (run / "audit.jsonl").write_bytes(b"\n".join([*lines[:-1], lines[-1][:length]]))
        found = check_audit_log(run)
        assert not found.problems
        assert found.remarks[0] == "Line 5 is torn: a crash cut it short while it was written."


def test_a_run_goes_on_behind_a_torn_line(run: Path) -> None:
    lines = _lines(run)
    (run / "audit.jsonl").write_bytes(b"\n".join([*lines[:-1], lines[-1][:50]]))
    append_event(run, "resumed", {})
    append_event(run, "finished", {})
    assert _lines(run)[4] == lines[-1][:50]  # kept as it was
    found = check_audit_log(run, _newest(run))
    assert not found.problems
    assert found.lines == 7
    lines = _lines(run)
    _write(run, [*lines[:4], lines[4][:-1], *lines[5:]])  # and what is left of it cannot be altered either
    assert check_audit_log(run).problems


def test_a_broken_line_in_the_middle_is_tampering(run: Path) -> None:
    lines = _lines(run)
    for junk in (b"{", b"", b"[]", b"\xff\xfe"):
        _write(run, [*lines[:2], junk, *lines[3:]])
        assert check_audit_log(run).problems, junk


def test_a_missing_log_is_a_problem(tmp_path: Path) -> None:
    assert check_audit_log(tmp_path).problems == ("The audit log is missing or empty.",)
