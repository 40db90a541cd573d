"""What is known of torchxrayvision's DenseNets: names of outputs, operating points, data.

From ``models.py`` of torchxrayvision 1.5.7 (Apache-2.0; Cohen et al., arXiv:2111.00595 and 2002.02497), where
each of its weights has 18 outputs, and those that its data had no labels for have neither name nor operating
point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OUTPUTS = (
    "Atelectasis",
    "Consolidation",
    "Infiltration",
    "Pneumothorax",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Effusion",
    "Pneumonia",
    "Pleural_Thickening",
    "Cardiomegaly",
    "Nodule",
    "Mass",
    "Hernia",
    "Lung Lesion",
    "Fracture",
    "Lung Opacity",
    "Enlarged Cardiomediastinum",
)
"""The 18 outputs of every one of these networks, in order, where they were trained."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the published weights.

    `operating_points` (``op_threshs``) are in the order of `OUTPUTS`; None for an output without a name.
    """

    name: str
    data: str
    operating_points: tuple[float | None, ...]


def _variant(name: str, data: str, *points: float | None) -> Variant:
    return Variant(f"densenet121-res224-{name}", data, points)


# fmt: off
_ALL = (
    _variant(
        "all", "NIH ChestX-ray14, PadChest, CheXpert, MIMIC-CXR, Google's NIH labels, OpenI and RSNA",
        0.07422872, 0.038290843, 0.09814756, 0.0098118475, 0.023601074, 0.0022490358, 0.010060724,
        0.103246614, 0.056810737, 0.026791653, 0.050318155, 0.023985857, 0.01939503, 0.042889766,
        0.053369623, 0.035975814, 0.20204692, 0.05015312,
    ),
    _variant(
        "nih", "NIH ChestX-ray14",
        0.039117552, 0.0034529066, 0.11396341, 0.0057298196, 0.00045666535, 0.0018880932, 0.012037827,
        0.038744126, 0.0037213727, 0.014730946, 0.016149804, 0.054241467, 0.037198864, 0.0004403434,
        None, None, None, None,
    ),
    _variant(
        "pc", "PadChest",
        0.031012505, 0.013347598, 0.081435576, 0.001262615, 0.002587246, 0.0035944257, 0.0023071, 0.055412333,
        0.044385884, 0.042766232, 0.043258056, 0.037629247, 0.005658899, 0.0091741895,
        None, 0.026507627, None, None,
    ),
    _variant(
        "chex", "CheXpert",
        0.1988969, 0.05710573, None, 0.0531293, 0.1435217, None, None, 0.27212676, 0.07749717, None,
        0.19712369, None, None, None, 0.09932402, 0.09273402, 0.3270967, 0.10888247,
    ),
    _variant(
        "rsna", "the RSNA Pneumonia Detection Challenge",
        None, None, None, None, None, None, None, None, 0.13486601, None, None, None, None, None, None, None,
        0.13511065, None,
    ),
    _variant(
        "mimic_nb", "MIMIC-CXR with NegBio's labels",
        0.08558747, 0.011884617, None, 0.0040595434, 0.010733786, None, None, 0.118761964, 0.022924708, None,
        0.06358637, None, None, None, 0.022143636, 0.017476924, 0.1258702, 0.014020768,
    ),
    _variant(
        "mimic_ch", "MIMIC-CXR with the CheXpert labeller's labels",
        0.09121389, 0.010573786, None, 0.005023008, 0.003698257, None, None, 0.08001232, 0.037242252, None,
        0.05006329, None, None, None, 0.019866971, 0.03823637, 0.11303808, 0.0069147074,
    ),
)
# fmt: on

VARIANTS = {variant.name: variant for variant in _ALL}
"""By torchxrayvision's own name of the weights, ``densenet121-res224-...``."""

DEFAULT = "densenet121-res224-all"


def variant_with(operating_points: Sequence[float]) -> Variant | None:
    """The variant that has exactly these operating points (as float32), NaN for outputs without a name."""
    found = np.asarray(operating_points, np.float32)
    for variant in _ALL:
        known = np.array([np.nan if p is None else p for p in variant.operating_points], np.float32)
        if found.shape == known.shape and np.array_equal(found, known, equal_nan=True):
            return variant
    return None
