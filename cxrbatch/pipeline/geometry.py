"""Where a film lies in the network's input, and so where a heat map lies on the film."""

from __future__ import annotations

from dataclasses import dataclass

from cxrbatch.pipeline.input_spec import Fit, InputSpec
from cxrbatch.radiographs.display import display_size


@dataclass(frozen=True, slots=True)
class ContentBox:
    """The part of the network's input that the film covers, in input pixels (top and left inclusive)."""

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
    """Place a film of `rows` x `columns` in the input of `spec`, centred, black bars around it."""
    if spec.fit is Fit.STRETCH:
        return ContentBox(0, 0, spec.height, spec.width)
    scale = min(spec.height / rows, spec.width / columns)
    height = min(spec.height, max(1, round(rows * scale)))
    width = min(spec.width, max(1, round(columns * scale)))
    return ContentBox((spec.height - height) // 2, (spec.width - width) // 2, height, width)
