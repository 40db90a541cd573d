"""What is asked of a run, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cxrbatch.bundles.card import Card
from cxrbatch.pipeline.decoder_pool import DECODE_TIMEOUT
from cxrbatch.reporting.choice import check_findings
from cxrbatch.reporting.content import ReportSettings


@dataclass(frozen=True, slots=True)
class Deidentify:
    """Pseudonyms instead of names. The environment may name the key instead of `key_file`; `crosswalk` is
    beside the key file unless it is given."""

    key_file: Path | None = None
    crosswalk: Path | None = None
    allow_burned_in: bool = False
    """Show pixels that may have a name burned in, after all."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a run (contract 3.1, `cxrbatch score`); None leaves a choice to the machine."""

    inputs: tuple[str, ...]
    out: Path
    model: str = "cxr-lite"
    runtime: Literal["auto", "keras", "openvino"] = "auto"
    batch_size: int | None = None
    threads: int | None = None
    workers: int | None = None
    mixed_precision: bool = False
    group_by: Literal["study", "folder"] = "study"
    settle: float = 0.0
    skip_known: Path | None = None
    verify_inputs: bool = False
    retry_failed: bool = False
    decode_timeout: float = DECODE_TIMEOUT
    limit: int | None = None
    fresh: bool = False
    labels: Path | None = None
    deidentify: Deidentify | None = None
    reports: ReportSettings = field(default_factory=ReportSettings)


class RequestError(Exception):
    """What is asked cannot be done (wrong usage, exit code 2); the message says which part."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended: the exit code of contract 3.2, and one line that says it."""

    exit_code: int
    message: str


def require_known_findings(settings: ReportSettings, card: Card) -> None:
    """Refuse a choice of findings that the model cannot answer.

    Raises:
        RequestError: naming the finding, and the ones there are.
    """
    try:
        check_findings(settings.findings, card)
    except ValueError as error:
        raise RequestError(f"--findings {settings.findings}: {error}") from error
