"""A run folder with made-up studies: pictures, heat maps and probabilities, no real patient."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.bundles.card import Card, FindingValidation, PlattCurve, Validation, Weights
from cxrbatch.intake.records import FileKind, ImageHeader, Patient, View
from cxrbatch.ledger.records import ScoredImage, StudyRecord
from cxrbatch.pipeline.input_spec import InputSpec, Scaling
from cxrbatch.reporting.content import RunFacts, WorklistRow
from cxrbatch.scoring.decision import is_flagged, urgency

FINDINGS = ("Effusion", "Pneumothorax", "Pleural_Thickening", "Nodule", "Hernia")
HASH = "0123456789abcdef" * 4


def make_card(**changes: object) -> Card:
    content: dict[str, object] = {
        "name": "test-net",
        "version": "1.2.3",
        "architecture": "efficientnet-lite0",
        "findings": FINDINGS,
        "input": InputSpec(height=320, width=320, channels=3, scaling=Scaling.IMAGENET),
        "weights": Weights(file="w.weights.h5", sha256=HASH),
        "thresholds": dict(zip(FINDINGS, (0.4, 0.3, 0.2, 0.1, 0.05), strict=True)),
        "thresholds_method": "Youden's index on held-out patients.",
        "validation": Validation(
            method="Cross-validation.",
            macro_auroc=0.7,
            findings={
                name: FindingValidation(auroc=auroc)
                for name, auroc in zip(FINDINGS, (0.8, 0.9, 0.6, None, 0.95), strict=True)
            },
        ),
        "intended_use": "Tests.",
        "limits": "Knows nothing of real films.",
        "licence": "Apache-2.0",
    }
    return Card(**{**content, **changes})


@pytest.fixture
def new_card() -> Callable[..., Card]:
    """Makes a card of five findings; keyword arguments replace parts of it."""
    return make_card


@pytest.fixture
def card() -> Card:
    return make_card()


@pytest.fixture
def calibrated_card() -> Card:
    curve = PlattCurve(slope=1.5, intercept=-0.7)
    return make_card(calibration=dict.fromkeys(FINDINGS, curve), calibration_method="Platt")


def facts_of(card: Card) -> RunFacts:
    return RunFacts("run-20261122-77", "2026-11-22T23:00:04+01:00", "0.1.0", HASH, card)


@pytest.fixture
def new_facts() -> Callable[[Card], RunFacts]:
    return facts_of


@pytest.fixture
def facts(card: Card) -> RunFacts:
    return facts_of(card)


def bump(row: float, column: float, shape: tuple[int, int] = (10, 10)) -> NDArray[np.float16]:
    """A map that is highest at (row, column) of its grid and negative far from it."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (4.0 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 4.0) - 0.5).astype(np.float16)


def phantom(rows: int, columns: int) -> Image.Image:
    """Two dark lungs in a grey thorax."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    lungs = ((np.abs(x) - 0.45) / 0.35) ** 2 + (y / 0.75) ** 2 < 1
    return Image.fromarray(np.where(lungs, 60, 170).astype(np.uint8))


JANE = Patient(id="P-1", name="Doe^Jane", sex="F", age="061Y")
MakeStudy = Callable[..., StudyRecord]


@pytest.fixture
def make_study(tmp_path: Path) -> MakeStudy:
    """Writes display pictures and maps below `tmp_path` and returns the study's record."""

    def make(
        key: str = "0a1b2c",
        probabilities: tuple[tuple[float, ...], ...] = ((0.9, 0.1, 0.35, 0.02, 0.01),),
        patient: Patient = JANE,
        shape: tuple[int, int] = (400, 300),
        maps: NDArray[np.float16] | None = None,
        with_maps: bool = True,
        notes: tuple[str, ...] = (),
        view: View = View.PA,
        path: str = "/inbox/film.dcm",
        accession: str = "ACC-9",
        study_date: str = "20261121",
    ) -> StudyRecord:
        folder = tmp_path / "store" / key
        folder.mkdir(parents=True, exist_ok=True)
        if maps is None:
            maps = np.stack([bump(3 + i, 4) for i in range(len(FINDINGS))], axis=-1)
        images = []
        for number, values in enumerate(probabilities):
            phantom(*shape).save(folder / f"display-{number}.jpg", quality=90)
            np.save(folder / f"maps-{number}.npy", maps)
            header = ImageHeader(
                kind=FileKind.DICOM,
                rows=shape[0],
                columns=shape[1],
                study_uid="1.2.3.4",
                image_uid=f"1.2.3.4.5.{number}",
                accession=accession,
                study_date=study_date,
                study_time="073159",
                modality="CR",
                view=view,
                patient=patient,
            )
            images.append(
                ScoredImage(
                    path=path,
                    study_key=key,
                    image_key=f"{key}-{number}",
                    header=header,
                    rows=shape[0],
                    columns=shape[1],
                    probabilities=values,
                    display_file=f"store/{key}/display-{number}.jpg",
                    maps_file=f"store/{key}/maps-{number}.npy" if with_maps else None,
                    notes=notes,
                )
            )
        return StudyRecord(key, "1.2.3.4", tuple(images))

    return make


def row_of(study: StudyRecord, card: Card, error: str = "") -> WorklistRow:
    flagged = tuple(
        name
        for name, value in zip(card.findings, study.highest, strict=True)
        if is_flagged(value, card.thresholds[name])
    )
    acute = ("Effusion", "Pneumothorax")
    return WorklistRow(study, urgency(card.findings, study.highest, card.thresholds, acute), flagged, error)


@pytest.fixture
def new_row() -> Callable[..., WorklistRow]:
    """A worklist row of a study: (study, card, error)."""
    return row_of


class Page(HTMLParser):
    """What a browser would see of a page: its elements with attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, list[str]] = {"style": [], "script": []}
        self._within = ""
        self._text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag if tag in self.inline else ""
        if self._within:
            self.inline[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within:
            self.inline[self._within][-1] += data
        else:
            self._text.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._text).split())

    def attributes(self, name: str) -> list[str]:
        return [value for _, attrs in self.elements if (value := attrs.get(name)) is not None]

    def tags(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture
def read_page() -> Callable[[Path], Page]:
    """Parses a page as a browser would."""
    return lambda path: Page(path.read_text(encoding="utf-8"))
