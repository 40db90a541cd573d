"""``cxrbatch doctor``: is this installation fit for a night?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrbatch.cli.exits import Exit, leave
from cxrbatch.cli.terminal import say, say_lines

if TYPE_CHECKING:
    from cxrbatch.doctor.examination import Finding


def doctor(
    model: Annotated[str | None, typer.Option(help="A bundle's name or folder.")] = None,
    out: Annotated[Path, typer.Option(help="Folder that runs will be written to.")] = Path(),
    config: Annotated[
        Path | None, typer.Option(help="cxrbatch.toml.", envvar="CXRBATCH_CONFIG", show_envvar=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    verify_audit: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Only check the audit log of this run folder.")
    ] = None,
    expect: Annotated[
        str, typer.Option(metavar="SHA256", help="With --verify-audit: the digest that audit.pdf shows.")
    ] = "",
) -> None:
    """Check the installation: packages, codecs, fonts, PDF, GPU, model, output folder.

    One line a check. Exit code 0 if there is no problem, else 1.
    """
    if verify_audit is not None:
        _verify_audit(verify_audit, expect)
        return
    if expect:
        leave(Exit.WRONG_USAGE, "--expect is for --verify-audit.")
    from cxrbatch.doctor.examination import examine
    from cxrbatch.doctor.outcome import Level, Subject

    findings = []
    for finding in examine(Subject(model=model or _model_of(config), out=out, config=config)):
        findings.append(finding)
        if not as_json:
            say(_line(finding))
    if as_json:
        say_lines(_json(findings))
    problems = sum(finding.outcome.level is Level.PROBLEM for finding in findings)
    if not as_json:
        say(f"{problems} problem{'s' * (problems != 1)} found." if problems else "No problem found.")
    if problems:
        raise typer.Exit(1)


def _verify_audit(run: Path, expect: str) -> None:
    """Tell whether a run's audit log is whole."""
    from cxrbatch.ledger.audit_check import check_audit_log

    try:
        found = check_audit_log(run, expect)
    except ValueError as error:
        leave(Exit.WRONG_USAGE, f"--expect: {error}")
    except OSError as error:
        leave(Exit.COULD_NOT_FINISH, f"The audit log of {run} cannot be read: {error.strerror}.")
    for remark in found.remarks:
        say(f"note     {remark}")
    for problem in found.problems:
        say(f"problem  {problem}")
    if found.problems:
        raise typer.Exit(1)
    say(f"ok       {found.lines} lines, each follows the one before it. The newest is {found.newest}.")


def _model_of(config: Path | None) -> str:
    """The model that the site scores with; the default where its file is wrong, which another check tells."""
    from cxrbatch.config import ConfigError, SiteConfig, load_config

    try:
        return load_config(config).score.model
    except ConfigError:
        return SiteConfig().score.model


def _line(finding: Finding) -> str:
    outcome = finding.outcome
    line = f"{outcome.level:<8} {finding.check:<17} {outcome.message}"
    return f"{line.rstrip('.')}. {outcome.advice}" if outcome.advice else line


def _json(findings: list[Finding]) -> str:
    import json

    rows = [
        {
            "check": finding.check,
            "level": finding.outcome.level.value,
            "message": finding.outcome.message,
            "advice": finding.outcome.advice,
            "seconds": round(finding.seconds, 3),
        }
        for finding in findings
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)
