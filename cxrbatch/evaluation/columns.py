"""The columns of label and probability tables that have a meaning of their own (contract 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from cxrbatch.evaluation.delimited import fold


class IdKind(StrEnum):
    """What an id names, and so what it is matched with."""

    IMAGE_UID = "image_uid"
    PATH = "path"
    IMAGE = "image"
    STUDY_UID = "study_uid"


NIH_FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
"""ChestX-ray14's findings (Wang et al., CVPR 2017)."""

FINDING_LABELS = fold("Finding Labels")

_ID_NAMES = {
    IdKind.IMAGE_UID: ("image_uid", "SOPInstanceUID"),
    IdKind.PATH: ("path",),
    IdKind.IMAGE: ("image", "Image Index"),
    IdKind.STUDY_UID: ("study_uid", "StudyInstanceUID"),
}
_PATIENT_NAMES = ("patient_id",)
_ATTRIBUTE_NAMES = (
    "study_key",
    "view",
    "bundle",
    "atypicality",
    "notes",
    "Finding Labels",
    "index",
    "fold",
    "split",
    "age",
    "Patient Age",
    "age_years",
    "sex",
    "gender",
    "Patient Sex",
    "Patient Gender",
    "View Position",
    "manufacturer",
    "model",
    "site",
    "institution",
    "hospital",
    "department",
    "study_date",
    "date",
    "comment",
    "Follow-up #",
    "OriginalImage[Width",
    "Height]",
    "OriginalImagePixelSpacing[x",
    "y]",
)

_IDS = {fold(name): kind for kind, names in _ID_NAMES.items() for name in names}
_PATIENT = {fold(name) for name in _PATIENT_NAMES}
NEVER_A_FINDING = frozenset(_IDS) | _PATIENT | {fold(name) for name in _ATTRIBUTE_NAMES}
"""Folded names of ids and attributes; no finding may be called so."""


def id_columns(header: Sequence[str]) -> dict[IdKind, int]:
    """Positions of the id columns of a header, the most exact kind first."""
    found = {_IDS[fold(name)]: position for position, name in enumerate(header) if fold(name) in _IDS}
    return {kind: found[kind] for kind in IdKind if kind in found}


def patient_column(header: Sequence[str]) -> int | None:
    """Position of `patient_id` or `Patient ID`."""
    return next((position for position, name in enumerate(header) if fold(name) in _PATIENT), None)


def id_column_hint() -> str:
    """For the message about a table without one."""
    return "`image` (or NIH's `Image Index`), `image_uid`, `study_uid` or `path`"
