"""A run's account of itself: its counts, what they mean for its exit code, run.json (contract 3.2, 3.3)."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from cxrbatch import __version__
from cxrbatch.bundles.card import Card
from cxrbatch.intake.reasons import Reason, ReasonGroup
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.run_folder import RunFolder

RunState = Literal["running", "finished"]
_PACKAGES = ("tensorflow", "keras", "openvino", "pydicom", "numpy", "weasyprint")


@dataclass(slots=True)
class LeftOut:
    """Files that a run leaves for another: counted, and never in the ledger."""

    unsettled_files: int = 0
    known_studies: int = 0
    known_files: int = 0
    beyond_limit_files: int = 0

    @property
    def files(self) -> int:
        return self.unsettled_files + self.known_files + self.beyond_limit_files


@dataclass(frozen=True, slots=True)
class Counts:
    """Every input file exactly once: scored, rejected by reason, ignored, pending or left out."""

    files: dict[str, int]
    rejected: dict[str, int]
    studies: dict[str, int]
    left_out: LeftOut

    @classmethod
    def of(cls, ledger: Ledger, left_out: LeftOut) -> Counts:
        reasons = Counter(file.reason for file in ledger.rejected())
        return cls(
            ledger.file_states(),
            {str(reason): reasons[reason] for reason in Reason if reasons[reason]},
            ledger.study_states(),
            left_out,
        )

    def in_group(self, group: ReasonGroup) -> int:
        """Files rejected for a reason of this group."""
        return sum(n for reason, n in self.rejected.items() if Reason(reason).group is group)

    @property
    def exit_code(self) -> int:
        """0, 3 when an input or a report failed, 1 when there was nothing that could be read."""
        failed = self.in_group(ReasonGroup.FAILED)
        readable = self.files["scored"] + self.in_group(ReasonGroup.SCREENED_OUT) + self.left_out.files
        readable += self.rejected.get(Reason.MODEL_FAILED, 0)  # the model's fault, not the film's
        if not readable:
            return 1
        return 3 if failed or self.studies["reports_failed"] else 0

    def as_json(self) -> dict[str, object]:
        """For run.json."""
        left = self.left_out
        return {
            "files_found": sum(self.files.values()) + left.files,
            "images_scored": self.files["scored"],
            "files_rejected": self.files["rejected"],
            "screened_out": self.in_group(ReasonGroup.SCREENED_OUT),
            "failed": self.in_group(ReasonGroup.FAILED),
            "rejected": self.rejected,
            "files_ignored": self.files["ignored"],
            "files_pending": self.files["pending"],
            "files_unsettled": left.unsettled_files,
            "files_known": left.known_files,
            "studies_known": left.known_studies,
            "files_beyond_limit": left.beyond_limit_files,
            "studies_scored": self.studies["scored"],
            "reports_failed": self.studies["reports_failed"],
        }

    def sentence(self) -> str:
        """One line for the log and the terminal."""
        parts = [
            f"{self.files['scored']} images of {self.studies['scored']} studies scored",
            f"{self.in_group(ReasonGroup.SCREENED_OUT)} files screened out",
            f"{self.in_group(ReasonGroup.FAILED)} failed",
            f"{self.files['ignored']} ignored",
        ]
        if self.left_out.files:
            parts.append(f"{self.left_out.files} left for another run")
        if self.studies["reports_failed"]:
            parts.append(f"{self.studies['reports_failed']} reports failed")
        return ", ".join(parts) + "."


def account(
    folder: RunFolder,
    state: RunState,
    card: Card,
    bundle_sha256: str,
    counts: Counts,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The content of run.json. `seconds` is wall time by stage of this invocation."""
    ledger = folder.ledger
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return {
        "state": state,
        "run_id": folder.run_id,
        "version": __version__,
        "bundle": {"name": card.name, "version": card.version, "sha256": bundle_sha256},
        "settings": ledger.fact("settings"),
        "arithmetic": ledger.fact("arithmetic"),
        "counts": counts.as_json(),
        "report_errors": ledger.report_errors(),
        "started": folder.started,
        "finished": f"{now[:-2]}:{now[-2:]}" if state == "finished" else None,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "host": platform.node(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }
