"""What the ledger remembers of a scored study: all that tables and reports are made of."""

from __future__ import annotations

from dataclasses import dataclass

from cxrbatch.intake.records import ImageHeader


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """One scored image.

    `probabilities` are raw, in the order of the card's findings. `display_file` is an 8-bit grey JPEG of at
    most 1024 pixels a side; `maps_file` a .npy of float16, shape (grid rows, grid columns, findings),
    in logits, or None where the model has no heat maps. Both are relative to the run folder.
    `rows` and `columns` are those of the decoded film. `wrong` and `atypicality` are what the bundle's film
    check said (`bundles.film_check.Look`), None where it has none.
    """

    path: str
    study_key: str
    image_key: str
    header: ImageHeader
    rows: int
    columns: int
    probabilities: tuple[float, ...]
    display_file: str
    maps_file: str | None
    atypicality: float | None = None
    wrong: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """The scored images of one study, sorted by path; never empty."""

    key: str
    uid: str
    images: tuple[ScoredImage, ...]

    @property
    def highest(self) -> tuple[float, ...]:
        """Per finding, the highest probability over the study's images (contract 3.3, studies.csv)."""
        return tuple(max(values) for values in zip(*(i.probabilities for i in self.images), strict=True))
