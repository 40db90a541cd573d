"""What a validation is made from: options, model, tables, and their digests."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrbatch import __version__
from cxrbatch.bundles.card import Card
from cxrbatch.bundles.digests import file_digest
from cxrbatch.evaluation.labels import Labels
from cxrbatch.evaluation.thresholds import Targets
from cxrbatch.ledger import layout
from cxrbatch.ledger.tables import bundle_label


@dataclass(frozen=True, slots=True)
class Options:
    """How a validation is made; all of it is printed in the report.

    `prevalence` is where PPV and NPV are also given; `subgroups` are columns, None for the usual ones.
    """

    rounds: int = 2000
    seed: int = 0
    prevalence: float | None = None
    targets: Targets = field(default_factory=Targets)
    tune_fraction: float | None = None
    subgroups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """The model that gave the scores, as its card tells."""

    card: Card
    sha256: str

    @property
    def label(self) -> str:
        """As in the column `bundle` of scores.csv."""
        return bundle_label(self.card, self.sha256)


@dataclass(frozen=True)
class Inputs:
    """The tables, the model if it is known, and the run folder if the scores are a run's."""

    scores: Path
    labels: Labels
    model: Model | None
    run: Path | None = None
    hidden: bool = False
    """Whether paths are left out of what is written (``--deidentify``)."""

    @property
    def labels_name(self) -> str:
        """What the labels table is called in the report."""
        return "the labels table" if self.hidden else self.labels.path.name

    def not_scored(self) -> dict[str, int] | None:
        """By reason, the files of the run that have no score; None without a run."""
        if self.run is None:
            return None
        with (self.run / layout.REJECTED).open(encoding="utf-8", newline="") as file:
            return dict(sorted(Counter(row["reason"] for row in csv.DictReader(file)).items()))

    def provenance(self, options: Options) -> dict[str, Any]:
        """All that the figures depend on. No date: the same inputs give the same metrics.json."""
        card = None if self.model is None else self.model.card
        return {
            "cxrbatch": __version__,
            "scores": {
                "file": self.scores.name if self.hidden else str(self.scores),
                "sha256": file_digest(self.scores),
            },
            "labels": {
                "file": self.labels_name if self.hidden else str(self.labels.path),
                "sha256": file_digest(self.labels.path),
            },
            "bundle": None
            if self.model is None or card is None
            else {"name": card.name, "version": card.version, "sha256": self.model.sha256},
            "seed": options.seed,
            "bootstrap_rounds": options.rounds,
            "stated_prevalence": options.prevalence,
            "sensitivity_at_least": options.targets.sensitivity,
            "specificity_at_least": options.targets.specificity,
            "tune_fraction": options.tune_fraction,
            "subgroup_columns": None if options.subgroups is None else list(options.subgroups),
        }
