"""What reporting guidelines ask of such a study: what the program knows, and what people must add.

The topics are those of CLAIM 2024 (Tejani et al., Radiol Artif Intell 2024;6:e240300), STARD-AI (Sounderajah
et al., Nat Med 2025) and TRIPOD+AI (Collins et al., BMJ 2024;385:e078378), in short. The guidelines' own
forms have more items and their exact wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TO_BE_PROVIDED = "to be provided"

_ALL = "CLAIM, STARD-AI, TRIPOD+AI"
_TOPICS: tuple[tuple[str, str, str], ...] = (
    ("intended_use", "Intended use and clinical role of the model", _ALL),
    ("objectives", "Objectives and hypotheses; prospective or retrospective", _ALL),
    ("setting", "Setting, places and dates of data collection", _ALL),
    ("eligibility", "Eligibility criteria; consecutive, random or convenience series", _ALL),
    ("data_source", "Source of the data", _ALL),
    ("ethics", "Ethics approval, consent, de-identification", _ALL),
    ("acquisition", "Acquisition of the images: devices and protocol", "CLAIM, STARD-AI"),
    ("preprocessing", "Preprocessing of the images", "CLAIM, TRIPOD+AI"),
    ("reference_standard", "Reference standard: definition and rationale", _ALL),
    ("readers", "Who set the reference standard, with what knowledge; agreement between readers", _ALL),
    ("sample_size", "How the sample size was arrived at", _ALL),
    ("participants", "Flow of participants", _ALL),
    ("characteristics", "Characteristics of the patients: age, sex, severity, other disease", _ALL),
    ("missing", "Missing and indeterminate data", _ALL),
    ("partitions", "Training and test data kept apart, by patient", _ALL),
    ("model", "Model, version, input and output", _ALL),
    ("training", "Training data and how the model was developed", "CLAIM, TRIPOD+AI"),
    ("thresholds", "Thresholds: set beforehand or chosen on the data", _ALL),
    ("measures", "Measures of performance and their uncertainty", _ALL),
    ("results", "Estimates with intervals", _ALL),
    ("calibration", "Calibration", "TRIPOD+AI"),
    ("fairness", "Performance in subgroups; fairness", "CLAIM, STARD-AI, TRIPOD+AI"),
    ("failures", "Analysis of failures", "CLAIM, STARD-AI"),
    ("explainability", "Explainability methods", "CLAIM"),
    ("external", "Internal or external test data", _ALL),
    ("adverse", "Adverse events from test or reference standard", "STARD-AI"),
    ("limitations", "Limitations: bias, generalisability", _ALL),
    ("implications", "Implications for practice", _ALL),
    ("availability", "Where model, code and data can be had", _ALL),
    ("registration", "Registration, protocol, funding, conflicts of interest", _ALL),
    ("involvement", "Involvement of patients and the public", "STARD-AI, TRIPOD+AI"),
)


@dataclass(frozen=True)
class ChecklistItem:
    """One topic, the guidelines that ask for it, and what is known; `known` is False for `TO_BE_PROVIDED`."""

    topic: str
    guidelines: str
    text: str

    @property
    def known(self) -> bool:
        return self.text != TO_BE_PROVIDED


def checklist(facts: Mapping[str, str]) -> list[ChecklistItem]:
    """All topics in order, with the facts given by key (blank: unknown). Raises KeyError for other keys."""
    unknown = sorted(set(facts) - {key for key, _, _ in _TOPICS})
    if unknown:
        raise KeyError(f"no topic of the checklist: {', '.join(unknown)}")
    return [
        ChecklistItem(topic, guidelines, facts.get(key, "") or TO_BE_PROVIDED)
        for key, topic, guidelines in _TOPICS
    ]
