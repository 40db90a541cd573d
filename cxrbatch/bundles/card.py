"""``card.json``: what a bundle says of itself (contract 3.6). Pure pydantic: no TensorFlow here."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cxrbatch.pipeline.input_spec import InputSpec

_PRINTED, _INK = r"[^\x00-\x1f\x7f-\x9f]", r"[^\s\x00-\x1f\x7f-\x9f]"
FindingName = Annotated[str, Field(max_length=100, pattern=f"^{_PRINTED}*{_INK}{_PRINTED}*$")]
"""Printable and not blank: it becomes a column's name, and stands on every page."""

Probability = Annotated[float, Field(gt=0.0, lt=1.0)]

RESERVED_NAMES = frozenset(
    {"study_key", "study_uid", "image_uid", "path", "patient_id", "view", "bundle", "atypicality", "notes"}
    | {"accession", "study_date", "images", "flagged"}
)
"""What the other columns of scores.csv and studies.csv are called (contract 3.3): no names of findings."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _File(_Part):
    """A file beside the card, and the digest it must have."""

    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @field_validator("file")
    @classmethod
    def _stay_in_the_bundle(cls, value: str) -> str:
        if PurePath(value).name != value:
            raise ValueError("must be the name of a file in the bundle, not a path")
        return value


class Weights(_File):
    """The weights file."""


class Share(_Part):
    """`count` of `of`."""

    count: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=1)]


class FilmCheckFile(_File):
    """The film check's arrays (`bundles.film_check`), and what is known of it.

    `found` and `false_alarms` are at the shipped limits, by kind and by sort of film.
    """

    method: str
    found: dict[str, Share] = {}
    false_alarms: dict[str, Share] = {}


class FindingLocalisation(_Part):
    """Of one finding: how often the map's highest point lies in the lesion, how often it would by chance, and
    the mean overlap (intersection over union) of the map with the lesion."""

    hits: Share
    by_chance: Annotated[float, Field(ge=0.0, le=1.0)]
    overlap: Annotated[float, Field(ge=0.0, le=1.0)]


class Localisation(_Part):
    """Where the heat maps look (`cxrbatch.localisation`), as measured, good or bad.

    `randomised`: by the part of the network that was given random weights, how much of the maps' order stayed
    (rank correlation, -1 to 1).
    """

    method: str
    findings: dict[str, FindingLocalisation]
    randomisation_method: str = ""
    randomised: dict[str, Annotated[float, Field(ge=-1.0, le=1.0)]] = {}


class PlattCurve(_Part):
    """Calibrated probability = sigmoid(slope * logit(raw) + intercept); slope > 0 keeps the order.

    Platt 1999.
    """

    slope: Annotated[float, Field(gt=0.0)]
    intercept: float

    def __call__(self, probability: float) -> float:
        clipped = min(max(probability, 1e-12), 1.0 - 1e-12)
        z = self.slope * math.log(clipped / (1.0 - clipped)) + self.intercept
        return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))


class OperatingPointCurve(_Part):
    """Piecewise linear, so that `operating_point` becomes 0.5: p / 2t below it, 1 - (1 - p) / 2(1 - t) above.

    torchxrayvision's ``op_norm`` (Cohen et al., arXiv:2002.02497). It keeps the order and tells on which side
    of the operating point a value is; it makes no frequency of it.
    """

    operating_point: Probability

    def __call__(self, probability: float) -> float:
        t = self.operating_point
        return probability / (2.0 * t) if probability < t else 1.0 - (1.0 - probability) / (2.0 * (1.0 - t))


Curve = PlattCurve | OperatingPointCurve


class FindingValidation(_Part):
    """How well one finding was told apart, on data the weights never saw."""

    auroc: float | None = None
    auroc_ci95: tuple[float, float] | None = None
    n_pos: int | None = None
    n_neg: int | None = None


class Validation(_Part):
    """Where the figures come from, in one sentence, and the figures."""

    method: str
    macro_auroc: float | None = None
    macro_auroc_ci95: tuple[float, float] | None = None
    findings: dict[str, FindingValidation] = {}


class TrainingData(_Part):
    """What the weights were trained on. Patient IDs only as salted SHA-256, for leak checks.

    `patients` is how many they are where one may have several hashes, of several spellings of the ID.
    """

    description: str
    patients: Annotated[int, Field(ge=0)] | None = None
    patient_id_salt: str = ""
    patient_id_hashes: tuple[str, ...] = ()


class Card(_Part):
    """The whole card.

    `findings` are in the order of the network's outputs; every per-finding table names them all.
    """

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    version: str
    architecture: str
    """``densenet121``, ``efficientnet-lite0``, or ``keras`` for a whole .keras file."""
    findings: Annotated[tuple[FindingName, ...], Field(max_length=1000)]
    input: InputSpec
    weights: Weights
    thresholds: dict[str, Probability]
    """Per finding, on the raw scale."""
    thresholds_method: str
    other_thresholds: dict[str, dict[str, Probability]] | None = None
    """By rule, such as ``sensitivity >= 0.9``: what a site may choose instead, from the same films."""
    calibration: dict[str, Curve] | None = None
    calibration_method: str = ""
    calibration_prevalence: dict[str, Probability] | None = None
    """Per finding, the mean calibrated probability of the films it was fitted on (`bundles.prevalence`)."""
    heat_maps: bool = True
    map_scale: dict[str, Annotated[float, Field(gt=0.0)]] | None = None
    """Per finding, the heat-map value (in logits) drawn at full strength: the same in every study."""
    localisation: Localisation | None = None
    """Where the heat maps look, on phantoms with known lesions."""
    film_check: FilmCheckFile | None = None
    validation: Validation | None = None
    training_data: TrainingData | None = None
    intended_use: str
    limits: str
    licence: str

    @property
    def scaled_to_thresholds(self) -> bool:
        """Calibrated values say on which side of an operating point they are, and are no frequencies."""
        return any(isinstance(curve, OperatingPointCurve) for curve in (self.calibration or {}).values())

    @model_validator(mode="after")
    def _tables_name_every_finding(self) -> Self:
        if not self.findings or len(set(self.findings)) != len(self.findings):
            raise ValueError("findings must be a list of different names")
        taken = sorted(RESERVED_NAMES.intersection(name.strip().lower() for name in self.findings))
        if taken:
            raise ValueError(f"{', '.join(taken)}: a column of scores.csv is called so; rename the finding")
        named = ("thresholds", "calibration", "calibration_prevalence", "map_scale")
        tables = {name: getattr(self, name) for name in named}
        others = self.other_thresholds or {}
        tables |= {f"other_thresholds, {rule}": table for rule, table in others.items()}
        for table, value in tables.items():
            if value is not None and set(value) != set(self.findings):
                wrong = sorted(set(value) ^ set(self.findings))
                raise ValueError(f"{table} must name exactly the findings; differs in {', '.join(wrong)}")
        return self
