"""``verdict.json`` as a file: sealed with a digest, and read again by those who act on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxrbatch.evaluation.comparison_content import SCHEMA
from cxrbatch.evaluation.verdict import Decision, decide

VERDICT_FILE = "verdict.json"


class VerdictError(ValueError):
    """A verdict file cannot be used: the message names it and says why."""


def sealed(content: Mapping[str, Any]) -> str:
    """`content` as the text of a verdict file, with the digest that `read_verdict` checks.

    The digest shows that a file was changed by accident or by an editor; it is no signature.
    """
    return (
        json.dumps({**content, "digest": _digest(content)}, indent=2, ensure_ascii=False, allow_nan=False)
        + "\n"
    )


def read_verdict(path: Path) -> dict[str, Any]:
    """The content of a verdict file (or of the one in a folder), checked.

    Raises VerdictError when it cannot be read, has an unknown schema, differs from its digest, or when its
    verdict does not follow from its own figures.
    """
    file = path / VERDICT_FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise VerdictError(f"{file} cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise VerdictError(f"{file} is no JSON: give the folder that `cxrbatch compare` wrote.") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise VerdictError(
            f"{file} is no verdict of this version (schema {SCHEMA}): compare the models again."
        )
    digest = content.pop("digest", None)
    if digest != _digest(content):
        raise VerdictError(f"{file} was changed after it was written: compare the models again.")
    try:
        decision = _decided(content)
    except (KeyError, TypeError, ValueError):
        raise VerdictError(f"{file} lacks figures of its verdict: compare the models again.") from None
    if decision.verdict.value != content["verdict"]:
        problem = f"says {content['verdict']!r}, but its figures say {decision.verdict.value!r}"
        raise VerdictError(f"{file} {problem}: compare the models again.")
    return {**content, "digest": digest}


def _decided(content: Mapping[str, Any]) -> Decision:
    corrected = {
        name: (float(row["auroc"]["ci95_corrected"][0]), float(row["auroc"]["ci95_corrected"][1]))
        for name, row in content["findings"].items()
        if row["auroc"]["ci95_corrected"] is not None
    }
    interval = content["primary"]["ci95"]
    both = None if interval is None else (float(interval[0]), float(interval[1]))
    return decide(content["primary"]["difference"], both, corrected, float(content["margin"]))


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
