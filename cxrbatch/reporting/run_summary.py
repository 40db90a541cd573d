"""The content of run.json as lines of a table, whatever keys a version of it has."""

from __future__ import annotations

from collections.abc import Mapping


def count_lines(run: Mapping[str, object]) -> list[tuple[str, str]]:
    """The counts of a run, name and number. Counts by reason are left to the audit's own tables."""
    counts = run.get("counts")
    if not isinstance(counts, Mapping):
        return []
    return flat_lines({key: value for key, value in counts.items() if not isinstance(value, Mapping)})


def failed_files(run: Mapping[str, object]) -> int:
    """How many input files failed, so that someone should look; 0 where run.json does not say."""
    counts = run.get("counts")
    failed = counts.get("failed", 0) if isinstance(counts, Mapping) else 0
    return failed if isinstance(failed, int) else 0


def flat_lines(
    table: Mapping[str, object], above: str = "", most: int | None = None
) -> list[tuple[str, str]]:
    """A nested table as lines of text, in its own order; empty values are left out.

    Names are written as words, numbers without a tail of digits. Of a list of more than `most` items the
    first `most` are written, and how many more there are.
    """
    lines: list[tuple[str, str]] = []
    for key, value in table.items():
        name = str(key).replace("_", " ")
        full = f"{above}, {name}" if above else name
        if isinstance(value, Mapping):
            lines.extend(flat_lines(value, full, most))
        elif value is not None and value not in ("", (), []):
            lines.append((full, _text(value, most)))
    return lines


def _text(value: object, most: int | None = None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        text = ", ".join(_text(item) for item in value[:most])
        left_out = 0 if most is None else len(value) - most
        return f"{text} and {left_out} more: see run.json" if left_out > 0 else text
    return str(value)
