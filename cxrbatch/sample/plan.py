"""What a cohort holds: which film, of whom, with which findings, stored how and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from cxrbatch.sample import encodings
from cxrbatch.sample.dicom_film import Place, Sitter, uid
from cxrbatch.sample.encodings import ENCODINGS, Encoding
from cxrbatch.sample.lesions import FINDINGS
from cxrbatch.sample.phantom import streams


class Subject(StrEnum):
    """What is on a film."""

    CHEST = "chest"
    LATERAL = "lateral"
    HAND = "hand"


class Container(StrEnum):
    """What kind of file it becomes."""

    DICOM = "dicom"
    TRUNCATED = "truncated"
    PNG = "png"
    JPEG = "jpeg"


@dataclass(frozen=True, slots=True)
class Film:
    """One file of the cohort. `path` is relative to the cohort, with forward slashes.

    `labelled` films are frontal radiographs that can be scored and stand in labels.csv.
    """

    path: str
    subject: Subject
    container: Container
    seed: int
    view: str
    findings: tuple[str, ...]
    sitter: Sitter
    place: Place
    encoding: Encoding
    labelled: bool
    note: str


EXTRAS_FROM = 6
"""Cohorts of at least this many studies come with the files that a night also brings."""

NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Phantom^Ada", ("ISO_IR 100",)),
    ("Φάντασμα^Ελένη", ("ISO_IR 192",)),
    ("Фантом^Борис", ("ISO_IR 192",)),
    ("Phantom^Taro=幻影^太郎", ("", "ISO 2022 IR 87")),
    ("Huan^Ying=幻^影", ("GB18030",)),
    ("Fantôme^Zoé", ("ISO_IR 100",)),
    ("幻影^花子", ("ISO_IR 192",)),
    ("O'Phantom^Brigid^^Dr", ("ISO_IR 192",)),
)
"""Invented names with the Specific Character Set that each is written in."""

FIRST_FINDINGS: tuple[tuple[str, ...], ...] = (
    (),
    ("Effusion",),
    ("Nodule",),
    ("Cardiomegaly",),
    ("Pneumothorax",),
    ("Consolidation",),
    ("Mass",),
    ("Cardiomegaly", "Effusion"),
)
"""So that a small cohort shows everything once; later studies are drawn at random."""


def _findings(index: int, rng: np.random.Generator) -> tuple[str, ...]:
    drawn = rng.random(), int(rng.integers(len(FINDINGS))), int(rng.integers(len(FINDINGS)))
    if index < len(FIRST_FINDINGS):
        return FIRST_FINDINGS[index]
    healthy, first, second = drawn
    if healthy < 0.4:
        return ()
    return (FINDINGS[first],) if healthy < 0.85 else tuple(sorted({FINDINGS[first], FINDINGS[second]}))


def _sitter(number: int, rng: np.random.Generator) -> Sitter:
    name, charset = NAMES[(number - 1) % len(NAMES)]
    sex = "F" if rng.random() < 0.5 else "M"
    return Sitter(f"PHANTOM-{number:04d}", name, charset, sex, int(rng.integers(19, 92)))


def _place(seed: int, study: int, series: int = 1, image: int = 1) -> Place:
    return Place(
        study_uid=uid(seed, study),
        series_uid=uid(seed, study, series),
        image_uid=uid(seed, study, series, image),
        accession=f"PH{study:06d}",
        date=f"2024{1 + study // 28 % 12:02d}{1 + study % 28:02d}",
        number=image,
    )


def _folder(index: int, sitter: Sitter, date: str) -> str:
    """Folders differ in depth, as exports of different machines do."""
    styles = (f"{date}/{sitter.id}", sitter.id, f"ward B/{date}/{sitter.id}/CR")
    return f"studies/{styles[index % len(styles)]}"


def _chest(seed: int, index: int) -> Film:
    (rng,) = streams(seed, f"study {index}")
    number = index + 1
    sitter, place = _sitter(number, rng), _place(seed, number)
    view = "AP" if rng.random() < 0.25 or index == 3 else "PA"
    encoding = ENCODINGS[index % len(ENCODINGS)]
    name = f"IM{number:05d}{encoding.suffix}"
    return Film(
        path=f"{_folder(index, sitter, place.date)}/{name}",
        subject=Subject.CHEST,
        container=Container.DICOM,
        seed=int(rng.integers(2**31)),
        view=view,
        findings=_findings(index, rng),
        sitter=sitter,
        place=place,
        encoding=encoding,
        labelled=True,
        note="frontal",
    )


def _in_folder_of(film: Film, name: str) -> str:
    return f"{film.path.rsplit('/', 1)[0]}/{name}"


def _extras(seed: int, chests: list[Film]) -> list[Film]:
    """What else lies in an inbox: other views, other parts, raw data, half a file, plain pictures."""
    first, second, third = chests[:3]
    lone = Sitter("PHANTOM-9001", "Phantom^Hand", ("ISO_IR 100",), "F", 40)
    broken = Sitter("PHANTOM-9002", "Phantom^Broken", ("ISO_IR 100",), "M", 50)
    films = [
        replace(
            first,
            path=_in_folder_of(first, "LATERAL.dcm"),
            place=_place(seed, 1, 2),
            subject=Subject.LATERAL,
            view="LL",
            findings=(),
            encoding=encodings.COMPACT,
            labelled=False,
            note="lateral view of a chest study: not_frontal",
        ),
        replace(
            second,
            path=_in_folder_of(second, "SECOND.dcm"),
            place=_place(seed, 2, 1, 2),
            view="AP" if second.view == "PA" else "PA",
            encoding=encodings.COMPACT,
            note="second frontal image of one study",
        ),
        replace(
            third,
            path=_in_folder_of(third, "RAW.dcm"),
            place=_place(seed, 3, 2),
            encoding=encodings.PROCESSING,
            labelled=False,
            note="the same exposure FOR PROCESSING: for_processing",
        ),
        replace(
            first,
            path="studies/PHANTOM-9001/HAND.dcm",
            place=_place(seed, 9001),
            subject=Subject.HAND,
            view="",
            sitter=lone,
            encoding=encodings.LIMB,
            labelled=False,
            note="a limb: not_chest",
        ),
        replace(
            first,
            path="studies/PHANTOM-9002/TRUNCATED.dcm",
            place=_place(seed, 9002),
            container=Container.TRUNCATED,
            seed=first.seed + 1,
            sitter=broken,
            encoding=encodings.PLAIN,
            labelled=False,
            note="cut off in the middle of its pixels: fails",
        ),
    ]
    for i, (container, suffix) in enumerate(((Container.PNG, "png"), (Container.JPEG, "jpg")), start=1):
        films.append(
            replace(
                first,
                path=f"studies/pictures/phantom-{i}.{suffix}",
                container=container,
                view="PA",
                seed=first.seed + 1 + i,
                labelled=False,
                note="a picture without header, so without a row in labels.csv",
            )
        )
    return films


def plan_cohort(studies: int, seed: int) -> tuple[Film, ...]:
    """The films of `studies` chest studies, and from six on the extras, sorted by path.

    A longer cohort of the same seed begins with the studies of a shorter one. Raises ValueError for
    fewer than one study or a negative seed.
    """
    if studies < 1:
        raise ValueError(f"A cohort needs at least one study. Received: studies={studies}.")
    if seed < 0:
        raise ValueError(f"The seed must be 0 or more. Received: seed={seed}.")
    chests = [_chest(seed, index) for index in range(studies)]
    extras = _extras(seed, chests) if studies >= EXTRAS_FROM else []
    return tuple(sorted((*chests, *extras), key=lambda film: film.path))
