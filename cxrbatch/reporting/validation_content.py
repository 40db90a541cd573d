"""What a validation report is made from: plain values and pictures, whoever has computed them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cxrbatch.ledger.records import ScoredImage

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FailureCase:
    """An image that was called wrongly for one finding; `probability` is raw, as `threshold` is."""

    image: ScoredImage
    finding: str
    probability: float
    threshold: float
    false_positive: bool


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One finding: our AUROC, if any, and those of the sources, in their order and with their decimals."""

    finding: str
    ours: float | None
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChecklistRow:
    """A topic of the reporting guidelines; `known` tells whether `text` is filled in."""

    topic: str
    guidelines: str
    text: str
    known: bool


@dataclass(frozen=True, slots=True)
class ValidationContent:
    """Everything on the pages.

    `metrics` is the content of metrics.json (contract 3.5, with `cohort` and `leak_check`); `alarms` stand
    in a box on page one, `notices` below it. `figures` names the picture of each finding. `pictures` are PNG
    or JPEG by file name; the reports refer to them by these names.
    """

    title: str
    model: str
    created: str
    version: str
    metrics: Mapping[str, Any]
    alarms: tuple[str, ...]
    notices: tuple[str, ...]
    flow: Lines
    flow_examples: Lines
    provenance: Lines
    thresholds: str
    caution: str
    published_sources: tuple[tuple[str, str], ...]
    published_rows: tuple[PublishedRow, ...]
    published_caution: str
    checklist: tuple[ChecklistRow, ...]
    figures: Mapping[str, str]
    pictures: Mapping[str, bytes]
    failures: tuple[FailureCase, ...] = ()
    without_gallery: str = ""
    """Why there is no gallery of failures."""
