from __future__ import annotations

import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from cxrbatch.cli.doctor import doctor
from cxrbatch.doctor import examination
from cxrbatch.doctor.examination import CHECKS, Finding, NamedCheck, examine
from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem, warning


def crash(subject: Subject) -> Outcome:
    raise RuntimeError("beyond repair")


def test_one_crashing_check_does_not_stop_the_others() -> None:
    findings = list(
        examine(Subject(), (NamedCheck("bad", crash), NamedCheck("good", lambda subject: ok("fine"))))
    )
    assert [f.check for f in findings] == ["bad", "good"]
    assert "beyond repair" in findings[0].outcome.message
    assert findings[1].outcome == ok("fine")


@pytest.fixture
def command() -> Typer:
    app = Typer()
    app.command()(doctor)
    return app


@pytest.mark.parametrize(
    ("last", "code"), [(ok("c"), 0), (warning("c", "Do this."), 0), (problem("c", "Do this."), 1)]
)
def test_exit_code_and_one_line_a_check(
    command: Typer, last: Outcome, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [Finding("first", ok("a"), 0.0), Finding("second", warning("b", "Do that."), 0.0)]
    monkeypatch.setattr(
        examination, "examine", lambda subject: iter([*findings, Finding("third", last, 0.0)])
    )
    done = CliRunner().invoke(command, [])
    assert done.exit_code == code
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("warning")
    assert lines[1].endswith("b. Do that.")
    assert lines[3] == ("1 problem found." if code else "No problem found.")


def test_json_of_a_real_examination(command: Typer) -> None:
    done = CliRunner().invoke(command, ["--json", "--model", "no-such-model"])
    rows = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [row["check"] for row in rows] == [named.name for named in CHECKS]
    problems = [row["check"] for row in rows if row["level"] == "problem"]
    assert problems == ["model (openvino)", "model (keras)"]
    assert sum(row["seconds"] for row in rows) < 60
