"""The account of a validation in sentences: who was counted, and what a reader must see before any figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.auroc import auroc
from cxrbatch.evaluation.cohort import Cohort
from cxrbatch.evaluation.leaks import PatientOverlap
from cxrbatch.evaluation.metric_records import Metrics
from cxrbatch.evaluation.metrics import IDENTICAL

EXAMPLES = 5
"""So many ids are named of those that have no partner."""

Lines = tuple[tuple[str, str], ...]
_PATIENT = "patient "


@dataclass(frozen=True)
class CohortAccount:
    """Who was counted. `tuning` (n,) marks the images on which thresholds were chosen, None if none were."""

    cohort: Cohort
    tuning: NDArray[np.bool_] | None = None
    screened: Mapping[str, int] | None = None
    """Files of a run that were not scored, by reason."""
    unknown_findings: Mapping[str, int] | None = None
    """Names in NIH's lists that are no finding of either table, with their rows."""

    @property
    def unlabelled(self) -> int:
        """Matched images without a known label for any finding."""
        return int(np.isnan(self.cohort.y_true).all(axis=1).sum())

    @property
    def patient_source(self) -> dict[str, int]:
        """Images by what their patient was told from: a patient id, the study, or nothing."""
        kinds = Counter(name.split(" ", 1)[0] for name in self.cohort.clusters.tolist())
        words = {"patient": "patient id", "study": "study", "row": "none: each image its own patient"}
        return {words[kind]: count for kind, count in sorted(kinds.items())}

    def patient_ids(self) -> list[str]:
        """(n,): the patient id of each image, "" where the tables have none."""
        return [
            name[len(_PATIENT) :] if name.startswith(_PATIENT) else ""
            for name in self.cohort.clusters.tolist()
        ]

    def to_dict(self) -> dict[str, Any]:
        """For metrics.json."""
        flow, part = self.cohort.flow, self.tuning
        result: dict[str, Any] = {
            "rows_scored": flow.rows_scored,
            "rows_labels": flow.rows_labels,
            "matched": flow.matched,
            "scored_without_labels": _counted(flow.unmatched_scored),
            "labels_without_scores": _counted(flow.unmatched_labels),
            "findings_without_labels": list(flow.findings_scored_only),
            "findings_without_scores": list(flow.findings_labels_only),
            "unknown_findings": dict(self.unknown_findings or {}),
            "matched_without_any_label": self.unlabelled,
            "patients_identified_by": self.patient_source,
        }
        if self.screened is not None:
            result["files_not_scored"] = dict(self.screened)
        if part is not None:
            patients = self.cohort.clusters
            result["tuning_part"] = {
                "images": int(part.sum()),
                "patients": len(np.unique(patients[part])),
                "judged_images": int((~part).sum()),
                "judged_patients": len(np.unique(patients[~part])),
            }
        return result

    def lines(self) -> Lines:
        """The flow as (step, count), top to bottom."""
        told, flow = self.to_dict(), self.cohort.flow
        lines = [
            (f"file not scored: {reason}", str(n)) for reason, n in told.get("files_not_scored", {}).items()
        ]
        lines += [
            ("rows in SCORES", str(flow.rows_scored)),
            ("rows in LABELS", str(flow.rows_labels)),
            ("scored, but without labels: excluded", str(len(flow.unmatched_scored))),
            ("labelled, but not scored: excluded", str(len(flow.unmatched_labels))),
            ("images matched and counted", str(flow.matched)),
            ("of them without a known label for any finding", str(self.unlabelled)),
            ("patients", str(len(np.unique(self.cohort.clusters)))),
            ("patients told by", ", ".join(f"{k} ({n} images)" for k, n in self.patient_source.items())),
            ("images with at least one finding", str(int(np.sum(np.any(self.cohort.y_true == 1, axis=1))))),
        ]
        if part := told.get("tuning_part"):
            lines += [
                ("thresholds chosen on", f"{part['images']} images of {part['patients']} patients"),
                (
                    "thresholds judged on",
                    f"{part['judged_images']} images of {part['judged_patients']} patients",
                ),
            ]
        return tuple(lines)

    def examples(self) -> Lines:
        """What has no partner, by name: (what, the first few)."""
        flow = self.cohort.flow
        unknown = tuple(f"{name} ({n} rows)" for name, n in (self.unknown_findings or {}).items())
        return tuple(
            (what, named(names))
            for what, names in (
                ("scored, without labels", flow.unmatched_scored),
                ("labelled, not scored", flow.unmatched_labels),
                ("findings without labels", flow.findings_scored_only),
                ("findings without probabilities", flow.findings_labels_only),
                ("names in the labels that are no known finding", unknown),
            )
            if names
        )


def _counted(names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(names), "examples": list(names[:EXAMPLES])}


def named(names: Sequence[str], most: int = EXAMPLES) -> str:
    """`3: a, b, c` or `9: a, b, c, d, e and 4 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)}: {', '.join(names[:most])}{more}"


def overlap_dict(account: CohortAccount, overlap: PatientOverlap) -> dict[str, Any]:
    """The leak check for metrics.json, with the macro AUROC of the patients the model has not seen."""
    if not overlap.checked:
        return {"checked": False, "reason": overlap.why_not}
    seen = np.isin(np.array(account.patient_ids(), dtype=object), overlap.patients)
    result: dict[str, Any] = {
        "checked": True,
        "training_patients": overlap.training_patients,
        "cohort_patients": overlap.cohort_patients,
        "patients_in_training_data": len(overlap.same),
        "patients_in_training_data_by_another_spelling": len(overlap.respelled),
        "images_of_these_patients": int(seen.sum()),
        "examples": list(overlap.patients[:EXAMPLES]),
    }
    if overlap.patients:
        areas = auroc(account.cohort.y_true[~seen], account.cohort.y_score[~seen])
        known = areas[~np.isnan(areas)]
        result["macro_auroc_of_the_others"] = float(known.mean()) if known.size else None
        result["macro_labels_of_the_others"] = int(known.size)
    return result


def alarms(metrics: Metrics, overlap: Mapping[str, Any]) -> list[str]:
    """What stands in the box on page one: any of these may make every figure below it worthless."""
    found = []
    same = overlap.get("patients_in_training_data", 0)
    respelled = overlap.get("patients_in_training_data_by_another_spelling", 0)
    if same or respelled:
        parts = [f"{same} by the same id"] if same else []
        parts += [f"{respelled} by another spelling of it (zeros, spaces, case)"] if respelled else []
        others = overlap["macro_auroc_of_the_others"]
        rest = (
            "no finding can be measured without them"
            if others is None
            else f"without them the macro AUROC is {others:.3f} "
            f"over {overlap['macro_labels_of_the_others']} findings"
        )
        found.append(
            f"The model was trained on patients of this cohort: {same + respelled} of "
            f"{overlap['cohort_patients']} patients ({'; '.join(parts)}), "
            f"{overlap['images_of_these_patients']} images; metrics.json names some under leak_check. "
            f"The figures below are too good; {rest}."
        )
    alike = [row.finding for row in metrics.findings if IDENTICAL in row.warnings]
    if alike:
        found.append(
            f"Every image has the same score for {', '.join(alike)}: the model or the table is broken there."
        )
    return found


def notices(metrics: Metrics, overlap: Mapping[str, Any], account: CohortAccount) -> list[str]:
    """What a reader should know before the figures, but that does not undo them."""
    found = []
    if not overlap["checked"]:
        found.append(f"Overlap with the training data could not be checked: {overlap['reason']}.")
    elif not overlap.get("images_of_these_patients"):
        found.append(
            f"None of the {overlap['cohort_patients']} patients is among the {overlap['training_patients']} "
            "of the training data, by id in any usual spelling."
        )
    same = [row.finding for row in metrics.findings if row.main_point and row.main_point.same_data]
    if same:
        every = len(same) == sum(row.main_point is not None for row in metrics.findings)
        whose = "All thresholds" if every else f"The thresholds of {', '.join(same)}"
        found.append(
            f"{whose} were chosen on the data they are judged on: sensitivity, specificity and predictive "
            "values flatter the model. Give --model for stored thresholds, or --tune-fraction."
        )
    undefined = [f"{row.finding} ({row.reason})" for row in metrics.findings if row.auroc is None]
    if undefined:
        found.append(f"No AUROC, and not in the mean: {'; '.join(undefined)}.")
    weak = [
        f"{row.finding} ({min(row.n_pos, row.n_neg)})"
        for row in metrics.findings
        if row.auroc is not None and row.unreliable
    ]
    if weak:
        found.append(f"Unreliable, with fewer than 10 images of a class: {', '.join(weak)}.")
    if "none: each image its own patient" in account.patient_source:
        count = account.patient_source["none: each image its own patient"]
        found.append(
            f"{count} images have no patient id and count as patients of their own: if patients have several "
            "images, the intervals are too narrow."
        )
    return found
