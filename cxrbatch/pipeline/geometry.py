"""Where a film lies in the network's input, and so where a heat map lies on the film."""

from __future__ import annotations

from dataclasses import dataclass

from cxrbatch.pipeline.input_spec import Fit, InputSpec
from cxrbatch.radiographs.display import display_size


@dataclass(frozen=True, slots=True)
class ContentBox:
    """Where the film lies in the network's input, in input pixels (top and left inclusive).

    A film that is cropped (`Fit.CROP`) lies beyond the input's edges: top or left is then negative.
    """

    top: int
    left: int
    height: int
    width: int


def enough_pixels(rows: int, columns: int, spec: InputSpec) -> tuple[int, int]:
    """The least (rows, columns) at which a film may be decoded: twice what the network sees of it and twice
    the display picture, so that what either is averaged from is finer than itself."""
    box, shown = content_box(rows, columns, spec), display_size(rows, columns)
    return 2 * max(box.height, shown[0]), 2 * max(box.width, shown[1])


def content_box(rows: int, columns: int, spec: InputSpec) -> ContentBox:
    """Place a film of `rows` x `columns` in the input of `spec`, centred, as its `fit` says."""
    if spec.fit is Fit.STRETCH:
        return ContentBox(0, 0, spec.height, spec.width)
    if spec.fit is Fit.CROP:
        return _cropped_box(rows, columns, spec)
    scale = min(spec.height / rows, spec.width / columns)
    height = min(spec.height, max(1, round(rows * scale)))
    width = min(spec.width, max(1, round(columns * scale)))
    return ContentBox((spec.height - height) // 2, (spec.width - width) // 2, height, width)


@dataclass(frozen=True, slots=True)
class SeenPart:
    """The part of a film that a network sees, in pixels of the film."""

    top: int
    left: int
    rows: int
    columns: int


def seen_part(rows: int, columns: int, spec: InputSpec) -> SeenPart:
    """All of a film, or its centre in the input's proportions (`Fit.CROP`).

    Of a film of odd length the middle is rounded as in torchxrayvision's ``XRayCenterCrop``.
    """
    if spec.fit is not Fit.CROP:
        return SeenPart(0, 0, rows, columns)
    seen_rows = min(rows, max(1, round(columns * spec.height / spec.width)))
    seen_columns = min(columns, max(1, round(rows * spec.width / spec.height)))
    return SeenPart(rows // 2 - seen_rows // 2, columns // 2 - seen_columns // 2, seen_rows, seen_columns)


def _cropped_box(rows: int, columns: int, spec: InputSpec) -> ContentBox:
    seen = seen_part(rows, columns, spec)
    down, across = spec.height / seen.rows, spec.width / seen.columns
    return ContentBox(
        -round(seen.top * down), -round(seen.left * across), round(rows * down), round(columns * across)
    )
