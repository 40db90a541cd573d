"""Does a heat map point at the lesion? Two measures against a mask that is known exactly.

The pointing game: Zhang et al., "Top-down neural attention by excitation backprop", IJCV 2018. Overlap of a
thresholded map with a mask, as intersection over union: Zhou et al., CVPR 2016, and for chest films Saporta
et al., Nature Machine Intelligence 2022.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt


def points_at(heat: NDArray[np.floating], mask: NDArray[np.bool_], tolerance: float = 0.0) -> bool:
    """The pointing game: whether the map's highest pixel lies in the mask, or near it.

    Of several equal ones the first counts. A map that is nowhere positive speaks for no place: False.

    Args:
        heat: the map over the film, (rows, columns).
        mask: the lesion, of the same shape.
        tolerance: pixels that the highest may lie outside of the mask; Zhang et al. took 15 in pictures of
            about 500.

    Raises:
        ValueError: the shapes differ, or a value of the map is not finite.
    """
    _check(heat, mask)
    row, column = np.unravel_index(np.argmax(heat), heat.shape)
    return bool(heat[row, column] > 0.0 and widened(mask, tolerance)[row, column])


def widened(mask: NDArray[np.bool_], tolerance: float) -> NDArray[np.bool_]:
    """`mask` and every pixel at most `tolerance` pixels (Euclidean) from it."""
    if tolerance <= 0.0 or not mask.any():
        return mask
    return np.asarray(distance_transform_edt(~mask) <= tolerance)


def overlap(heat: NDArray[np.floating], mask: NDArray[np.bool_], share: float) -> float:
    """Intersection over union, 0 to 1, of the mask with where the map reaches `share` of its maximum.

    0 where the map is nowhere positive. Arguments and errors as for `points_at`; `share` in (0, 1].
    """
    _check(heat, mask)
    if not 0.0 < share <= 1.0:
        raise ValueError(f"The share of the maximum must be above 0 and at most 1; received {share}.")
    highest = float(heat.max())
    if highest <= 0.0:
        return 0.0
    region = heat >= share * highest
    union = int(np.count_nonzero(region | mask))
    return int(np.count_nonzero(region & mask)) / union


def _check(heat: NDArray[np.floating], mask: NDArray[np.bool_]) -> None:
    if heat.shape != mask.shape:
        raise ValueError(f"Map and mask must have the same shape; received {heat.shape} and {mask.shape}.")
    if not np.isfinite(heat).all():
        raise ValueError("The map holds values that are no numbers.")
