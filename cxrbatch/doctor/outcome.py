"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Level(StrEnum):
    """How bad it is. Only a problem makes `cxrbatch doctor` end with exit code 1."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`message` says what was found, `advice` what to do about it (blank if all is well)."""

    level: Level
    message: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined: the model, the folder that runs are written to, a configuration file."""

    model: str = "cxr-lite"
    out: Path = Path()
    config: Path | None = None


def ok(message: str) -> Outcome:
    return Outcome(Level.OK, message)


def warning(message: str, advice: str) -> Outcome:
    return Outcome(Level.WARNING, message, advice)


def problem(message: str, advice: str) -> Outcome:
    return Outcome(Level.PROBLEM, message, advice)
