"""Where things lie in a run folder (contract 3.3). Paths are relative to it."""

from __future__ import annotations

import hashlib
import os

LEDGER = "ledger.db"
RUN_JSON = "run.json"
SCORES = "scores.csv"
CALIBRATED = "calibrated.csv"
STUDIES = "studies.csv"
REJECTED = "rejected.csv"
VALIDATION = "validation"
AUDIT_LOG = "audit.jsonl"
STORE = "store"
REPORTS = "reports"


def image_key(path: str) -> str:
    """A short name for an image within its study, from the bytes of its path."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def shelf_mark(study_key: str, image: str) -> str:
    """Where what is kept of an image lies, less the suffix."""
    return f"{STORE}/{study_key}/{image}"


def display_file(study_key: str, image: str) -> str:
    """The display picture: 8-bit grey JPEG."""
    return f"{shelf_mark(study_key, image)}.jpg"


def maps_file(study_key: str, image: str) -> str:
    """The heat maps: float16 (grid rows, grid columns, findings)."""
    return f"{shelf_mark(study_key, image)}.npy"
