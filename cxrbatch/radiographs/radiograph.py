"""What decoding gives, and the one error it raises."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from cxrbatch.intake.reasons import Reason


@dataclass(frozen=True, slots=True)
class Radiograph:
    """A display-oriented grey image.

    `pixels` is uint16 of shape (rows, columns): 0 is black, 65535 is white, whatever the file stored
    (bit depth, LUTs, window, MONOCHROME1 and padding are dealt with). `full_size` is (rows, columns) of the
    file where it was decoded at a lower resolution, else None.
    """

    pixels: NDArray[np.uint16]
    notes: tuple[str, ...] = ()
    full_size: tuple[int, int] | None = None

    @property
    def digest(self) -> str:
        """Of the rendered image, its shape included: tells duplicates from look-alikes.

        BLAKE3, 64 hexadecimal digits, in a quarter of the time of SHA-256, and as hard to deceive; nobody
        compares it with another program's, as one may a file's.
        """
        digest = blake3(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).data.cast("B"))
        return digest.hexdigest()


class RadiographError(Exception):
    """An image that cannot be decoded: its reason code, and one sentence for ``rejected.csv``."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)  # both in args, so that it survives pickling between processes
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail
