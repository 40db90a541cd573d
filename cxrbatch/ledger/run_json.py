"""``run.json``: the run's own account of itself, for people and for other programs (contract 3.3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cxrbatch.ledger import layout
from cxrbatch.ledger.atomic import write_atomic

SCHEMA_VERSION = 1


class RunJsonError(Exception):
    """A run.json that is missing, damaged, or of a version this cxrbatch does not know."""


def write_run_json(run: Path, content: dict[str, Any]) -> None:
    """Write `content` with the schema version in front."""
    whole = {"schema_version": SCHEMA_VERSION, **content}
    write_atomic(run / layout.RUN_JSON, (json.dumps(whole, indent=2) + "\n").encode())


def read_run_json(run: Path) -> dict[str, Any]:
    """The content of a run's run.json.

    Raises:
        RunJsonError: it is missing or damaged, or its schema version is unknown.
    """
    path = run / layout.RUN_JSON
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunJsonError(
            f"{path} cannot be read ({error.strerror}): is {run} a run folder of cxrbatch?"
        ) from error
    except ValueError as error:
        raise RunJsonError(f"{path} is damaged ({error}): start the run over with --fresh.") from error
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != SCHEMA_VERSION:
        raise RunJsonError(
            f"{path} has schema version {found!r}, this cxrbatch reads {SCHEMA_VERSION}: "
            "use the version that made it."
        )
    return content
