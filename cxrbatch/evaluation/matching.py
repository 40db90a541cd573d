"""Which row of labels belongs to which scored image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.columns import IdKind
from cxrbatch.evaluation.labels import Labels, LabelsError

_EXTENSIONS = frozenset(
    (
        ".png",
        ".jpg",
        ".jpeg",
        ".dcm",
        ".dicom",
        ".dic",
        ".ima",
        ".img",
        ".jp2",
        ".j2k",
        ".jpf",
        ".tif",
        ".tiff",
        ".bmp",
        ".gif",
    )
)
"""Only these are taken off: a UID also ends in a dot and something."""


@dataclass(frozen=True)
class Matching:
    """Pairs (label row, scored row), each (m,), in the order of the scored rows; and what has no partner."""

    label_rows: NDArray[np.intp]
    scored_rows: NDArray[np.intp]
    unmatched_labels: tuple[str, ...]
    unmatched_scored: tuple[str, ...]


def match(labels: Labels, scored: Mapping[IdKind, Sequence[str]]) -> Matching:
    """Match labels with scored images, whose ids are given by kind, each (n,), as plain strings.

    `image` matches the base name, an exact one before one without extensions; `path` the end of the path,
    in whole parts; `image_uid` and `study_uid` the UIDs. A study's label goes to every scored image of the
    study. Raises LabelsError when a label's id matches two files, when two labels match one file, or when
    the scored table has no id that the labels' could be matched with.
    """
    kind, names = _scored_names(labels, scored)
    candidates = _FINDERS[kind](labels.ids, names)
    owner: dict[int, int] = {}
    for label_row, rows in enumerate(candidates):
        if len(rows) > 1 and kind is not IdKind.STUDY_UID:
            problem = (
                f"{labels.ids[label_row]!r} matches two files, {_name(scored, rows[0])!r} and "
                f"{_name(scored, rows[1])!r}; use an id that tells them apart"
            )
            raise LabelsError(labels.path, problem, labels.lines[label_row], kind.value)
        for row in rows:
            if row in owner:
                other = owner[row]
                problem = (
                    f"{labels.ids[other]!r} (line {labels.lines[other]}) and {labels.ids[label_row]!r} both "
                    f"match the file {_name(scored, row)!r}; keep one"
                )
                raise LabelsError(labels.path, problem, labels.lines[label_row], kind.value)
            owner[row] = label_row
    scored_rows = sorted(owner)
    used = set(owner.values())
    return Matching(
        np.array([owner[row] for row in scored_rows], dtype=np.intp),
        np.array(scored_rows, dtype=np.intp),
        tuple(name for row, name in enumerate(labels.ids) if row not in used),
        tuple(_name(scored, row) for row in range(len(names)) if row not in owner),
    )


def _scored_names(labels: Labels, scored: Mapping[IdKind, Sequence[str]]) -> tuple[IdKind, Sequence[str]]:
    """The scored column to match with; `image` and `path` stand in for each other."""
    file_names = (IdKind.PATH, IdKind.IMAGE)
    wanted = file_names if labels.id_kind in file_names else (labels.id_kind,)
    for kind in wanted:
        if kind in scored:
            return labels.id_kind, scored[kind]
    has = ", ".join(kind.value for kind in scored)
    problem = f"its ids are of kind {labels.id_kind.value!r}, but the scored table has only: {has}"
    raise LabelsError(labels.path, problem)


def _name(scored: Mapping[IdKind, Sequence[str]], row: int) -> str:
    """How a person finds the image: by its path if there is one."""
    kind = next(k for k in (IdKind.PATH, IdKind.IMAGE, IdKind.IMAGE_UID, IdKind.STUDY_UID) if k in scored)
    return scored[kind][row]


def _equal(ids: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    rows = _index(names, lambda name: name)
    return [rows.get(name, []) for name in ids]


def _by_base_name(ids: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    exact = _index(names, _base_name)
    stems = _index(names, lambda name: _stem(_base_name(name)))
    found: list[list[int]] = []
    for name in ids:
        if "/" in name or "\\" in name:
            found.append(_ending_with(name, exact, names))
        else:
            found.append(exact.get(name) or stems.get(_stem(name), []))
    # With a.png and a.jpg both labelled and only a.png scored, a.jpg has no file: it must not take a.png.
    named = {row for name in ids for row in exact.get(name, [])}
    return [
        [row for row in rows if row not in named] if _stem(name) != name and name not in exact else rows
        for name, rows in zip(ids, found, strict=True)
    ]


def _by_path_end(ids: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    exact = _index(names, _base_name)
    return [_ending_with(name, exact, names) for name in ids]


def _ending_with(end: str, base_names: Mapping[str, list[int]], names: Sequence[str]) -> list[int]:
    """Rows whose path ends in `end`, or that are themselves the end of it (a table of bare file names)."""
    parts = _parts(end)
    rows = base_names.get(parts[-1], []) if parts else []
    found: list[int] = []
    for row in rows:
        other = _parts(names[row])
        shared = min(len(parts), len(other))
        if parts[-shared:] == other[-shared:]:
            found.append(row)
    whole = [row for row in found if _parts(names[row]) == parts]
    return whole or found


def _index(names: Sequence[str], key: Callable[[str], str]) -> dict[str, list[int]]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        rows[key(name)].append(row)
    return dict(rows)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))


def _base_name(path: str) -> str:
    parts = _parts(path)
    return parts[-1] if parts else ""


def _stem(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return name[: -len(suffix)] if suffix.lower() in _EXTENSIONS else name


_FINDERS: Mapping[IdKind, Callable[[Sequence[str], Sequence[str]], list[list[int]]]] = {
    IdKind.IMAGE: _by_base_name,
    IdKind.PATH: _by_path_end,
    IdKind.IMAGE_UID: _equal,
    IdKind.STUDY_UID: _equal,
}
