"""What is asked of a run, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cxrbatch.bundles.card import Card
from cxrbatch.evaluation.labels import Labels, read_labels
from cxrbatch.pipeline.decoder_pool import DECODE_TIMEOUT
from cxrbatch.reporting.choice import acute_on, check_findings
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
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    cpus_per_scorer: int | None = None
    mixed_precision: bool = False
    group_by: Literal["study", "folder"] = "study"
    settle: float = 0.0
    skip_known: Path | None = None
    verify_inputs: bool = False
    retry_failed: bool = False
    decode_timeout: float = DECODE_TIMEOUT
    fast_decode: bool = False
    reject_unusual: bool = False
    """Leave films out that are clearly inverted, turned, blank or no chest films, instead of marking them."""
    prevalence: dict[str, float] = field(default_factory=dict)
    """Finding to its prevalence among the films of the night, for calibrated values."""
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


def reports_for(settings: ReportSettings, card: Card) -> ReportSettings:
    """The settings with findings as the model's card spells them.

    Raises:
        RequestError: a finding that the model does not have; it says where it was asked for, and names
            the ones there are.
    """
    asked = settings.findings_from
    try:
        check_findings(settings.findings, card)
        asked = settings.acute_from
        return replace(settings, acute=acute_on(card, settings.acute))
    except ValueError as error:
        raise RequestError(f"{asked}: {error}") from error


def labels_for(path: Path, card: Card) -> Labels:
    """The labels to hold the night's scores against; a night is too long to learn afterwards that none fits.

    Raises:
        TableError: the table cannot be read; the message names file, line and column.
        RequestError: it labels none of the model's findings.
    """
    labels = read_labels(path, card.findings)
    if not set(labels.findings) & set(card.findings):
        here, there = ", ".join(labels.findings) or "none", ", ".join(card.findings)
        raise RequestError(
            f"{path}, line 1: no finding in common with the model: {here} here, {there} there."
        )
    return labels
