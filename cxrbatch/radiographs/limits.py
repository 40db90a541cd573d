"""How large an image may be before it is refused: checked on the header, before any memory is taken."""

from __future__ import annotations

from cxrbatch.intake.reasons import Reason
from cxrbatch.radiographs.radiograph import RadiographError

MAX_PIXELS = 100_000_000
"""Most samples (rows x columns x samples per pixel) of one image; the largest detectors have 20 million."""

MAX_INFLATED_BYTES = 1 << 30
"""Most bytes that a deflated DICOM file may unfold to."""


def require_size(rows: int, columns: int, samples: int) -> None:
    """Raise `RadiographError` where an image is empty (``decode_failed``) or too large (``too_large``)."""
    if rows < 1 or columns < 1:
        raise RadiographError(Reason.DECODE_FAILED, f"The image is empty: {rows} rows by {columns} columns.")
    if rows * columns * samples > MAX_PIXELS:
        raise RadiographError(
            Reason.TOO_LARGE,
            f"The image has {rows} rows x {columns} columns x {samples} samples; "
            f"at most {MAX_PIXELS:,} samples are read.",
        )
