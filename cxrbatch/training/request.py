"""What is asked of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cxrbatch.reporting.content import ReportSettings
from cxrbatch.training.settings import Mode, TrainSettings


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Contract 3.1, `cxrbatch train`; None leaves a choice to the program.

    `init` is the bundle to start from, None for random weights; `findings` are all of the labels' without.
    `cache` is where decoded films are kept, by default below `out`.
    """

    images: Path
    labels: Path
    out: Path
    mode: Mode
    settings: TrainSettings = field(default_factory=TrainSettings)
    init: str | None = "cxr-lite"
    findings: tuple[str, ...] | None = None
    soft_targets: Path | None = None
    cache: Path | None = None
    workers: int | None = None
    fresh: bool = False
    reports: ReportSettings = field(default_factory=ReportSettings)
