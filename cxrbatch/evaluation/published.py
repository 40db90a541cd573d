"""AUROCs on ChestX-ray14 that others have published, to stand beside ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cxrbatch.evaluation.delimited import fold

SPLITS_DIFFER = (
    "These figures are of other images: each author split ChestX-ray14 in another way, and the split decides "
    "the number (a DenseNet121 has about 0.84 on random splits by patient and 0.81 on NIH's official one). "
    "They show the range in which the field moves; they do not say which model is better."
)


@dataclass(frozen=True)
class Source:
    """Where a column of the table is from."""

    name: str
    citation: str
    decimals: int = 3


SOURCES = (
    Source("Wang 2017", "Wang et al., ChestX-ray8, CVPR 2017 (arXiv:1705.02315), official split"),
    Source("CheXNet", "Rajpurkar et al., CheXNet, arXiv:1711.05225v3, random split by patient"),
    Source("Zech", "Zech, reproduce-chexnet, GitHub 2018, random split by patient"),
    Source(
        "XRV",
        "Cohen et al., TorchXRayVision (densenet121-res224-all), trained on several data sets together",
        2,
    ),
)

_AUROC = {
    "Atelectasis": (0.716, 0.809, 0.818, 0.76),
    "Cardiomegaly": (0.807, 0.925, 0.909, 0.88),
    "Effusion": (0.784, 0.864, 0.883, 0.85),
    "Infiltration": (0.609, 0.735, 0.716, 0.68),
    "Mass": (0.706, 0.868, 0.838, 0.80),
    "Nodule": (0.671, 0.780, 0.776, 0.69),
    "Pneumonia": (0.633, 0.768, 0.762, 0.71),
    "Pneumothorax": (0.806, 0.889, 0.878, 0.75),
    "Consolidation": (0.708, 0.790, 0.800, 0.77),
    "Edema": (0.835, 0.888, 0.895, 0.85),
    "Emphysema": (0.815, 0.937, 0.932, 0.73),
    "Fibrosis": (0.769, 0.805, 0.825, 0.72),
    "Pleural_Thickening": (0.708, 0.806, 0.789, 0.74),
    "Hernia": (0.767, 0.916, 0.918, 0.91),
}


def published_aurocs(findings: Iterable[str]) -> dict[str, tuple[float, ...]]:
    """Finding, in the spelling given -> AUROC of each of `SOURCES`, of the findings they have."""
    by_name = {fold(name): values for name, values in _AUROC.items()}
    return {name: by_name[fold(name)] for name in findings if fold(name) in by_name}
