"""A whole inbox of phantoms on disk, with its labels and lesion masks.

    DIR/README.txt     what this is, file by file
    DIR/labels.csv     image_uid, patient_id and one 0/1 column a finding
    DIR/masks.npz      the lesion masks, keyed "<image_uid>/<finding>"
    DIR/studies/...    the films

The masks are one archive and no pictures, so that DIR itself can be scored: a text, a table and an
archive are no images to anybody who looks at the content.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from cxrbatch.sample.dicom_film import SENTENCE, dicom_bytes
from cxrbatch.sample.encodings import Tone, padded_edges
from cxrbatch.sample.grid import Mask, Plane
from cxrbatch.sample.lateral import lateral
from cxrbatch.sample.lesions import FINDINGS
from cxrbatch.sample.limb import FILM_CM as HAND_FILM_CM
from cxrbatch.sample.limb import hand
from cxrbatch.sample.phantom import FILM_CM, frontal
from cxrbatch.sample.plan import Container, Film, Subject, plan_cohort

DEFAULT_SIZE = (1024, 896)
MINIMUM_SIDE, MAXIMUM_SIDE = 160, 4096


@dataclass(frozen=True, slots=True)
class CohortSummary:
    """What was written: `files` below studies/, `labelled` rows in labels.csv, positives a finding."""

    folder: Path
    studies: int
    files: int
    labelled: int
    positives: dict[str, int]


def write_cohort(
    folder: Path,
    studies: int = 12,
    seed: int = 0,
    size: tuple[int, int] = DEFAULT_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> CohortSummary:
    """Write `studies` chest studies with films of `size` (rows, cols); the same seed gives the same bytes.

    `progress` is called with the number of films done and of all. Raises FileExistsError if `folder`
    holds anything, ValueError for a size, a seed or a number of studies that makes no sense.
    """
    if not all(MINIMUM_SIDE <= side <= MAXIMUM_SIDE for side in size):
        raise ValueError(
            f"A film has {MINIMUM_SIDE} to {MAXIMUM_SIDE} rows and columns. Received: {size[0]}x{size[1]}."
        )
    films = plan_cohort(studies, seed)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not an empty folder: name a new one, or empty it first.")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "masks.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for done, film in enumerate(films, start=1):
            content, masks = film_content(film, size)
            target = folder / film.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            if film.labelled:
                _add_masks(archive, film, masks)
            if progress:
                progress(done, len(films))
    labelled = [film for film in films if film.labelled]
    (folder / "labels.csv").write_text(_labels(labelled), encoding="utf-8", newline="")
    (folder / "README.txt").write_text(_readme(films, studies, seed, size), encoding="utf-8", newline="")
    positives = {name: sum(name in film.findings for film in labelled) for name in FINDINGS}
    return CohortSummary(folder, studies, len(films), len(labelled), positives)


def film_content(film: Film, size: tuple[int, int]) -> tuple[bytes, dict[str, Mask]]:
    """The bytes of one file of a cohort, and the masks (rows, cols) of the findings in it."""
    picture, masks = _picture(film, size)
    if film.container is Container.PNG:
        return _png(picture), masks
    if film.container is Container.JPEG:
        return _jpeg(picture), masks
    limb = film.subject is Subject.HAND
    content = dicom_bytes(
        picture,
        film.encoding,
        film.sitter,
        film.place,
        film.view,
        body_part="HAND" if limb else "CHEST",
        spacing=10 * (HAND_FILM_CM if limb else FILM_CM) / min(size),
    )
    if film.container is Container.TRUNCATED:
        content = content[: len(content) // 3]
    if film.encoding.tone is Tone.PADDING:
        masks = {name: _off_padding(mask) for name, mask in masks.items()}
    return content, masks


def _picture(film: Film, size: tuple[int, int]) -> tuple[Plane, dict[str, Mask]]:
    if film.subject is Subject.LATERAL:
        return lateral(film.seed, size), {}
    if film.subject is Subject.HAND:
        return hand(film.seed, size), {}
    phantom = frontal(film.seed, size, film.view, film.findings, film.sitter.sex)
    return phantom.film, phantom.masks


def _off_padding(mask: Mask) -> Mask:
    rows, cols = padded_edges(*mask.shape)
    kept = mask.copy()
    kept[:rows], kept[:, -cols:] = False, False
    return kept


def _png(picture: Plane) -> bytes:
    """16-bit grey, with the notice in its text chunk too."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Description", SENTENCE)
    out = BytesIO()
    # Twelve of the sixteen bits carry the picture, as in what PACS export.
    Image.fromarray((np.rint(picture * 4095) * 16).astype(np.uint16)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def _jpeg(picture: Plane) -> bytes:
    out = BytesIO()
    Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(out, "JPEG", quality=90, comment=SENTENCE)
    return out.getvalue()


def _add_masks(archive: zipfile.ZipFile, film: Film, masks: dict[str, Mask]) -> None:
    """One array an entry, as numpy.savez_compressed writes it, but with no date of writing."""
    for name, mask in sorted(masks.items()):
        array = BytesIO()
        np.lib.format.write_array(array, mask, allow_pickle=False)
        entry = zipfile.ZipInfo(f"{film.place.image_uid}/{name}.npy")
        archive.writestr(entry, array.getvalue(), zipfile.ZIP_DEFLATED)


def _labels(films: list[Film]) -> str:
    """The wide layout of labels: every frontal DICOM image, 1 where a finding was planted."""
    out = StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["image_uid", "patient_id", *FINDINGS])
    for film in sorted(films, key=lambda f: (f.sitter.id, f.place.image_uid)):
        row = [int(name in film.findings) for name in FINDINGS]
        table.writerow([film.place.image_uid, film.sitter.id, *row])
    return out.getvalue()


def _readme(films: tuple[Film, ...], studies: int, seed: int, size: tuple[int, int]) -> str:
    lines = [
        "PHANTOMS - NOT PATIENTS",
        "",
        "Every film here is computed from geometry: projected shapes, attenuation, scatter and noise.",
        "Names, dates and numbers are invented. The findings are planted, so labels and masks are exact;",
        "they say nothing about how well a model does on people.",
        "",
        f"Made by: cxrbatch sample DIR --studies {studies} --seed {seed} --size {size[0]}x{size[1]}",
        "",
        "  studies/     the films; this folder, or the one above it, is what cxrbatch score takes",
        "  labels.csv   image_uid, patient_id, and 1 where a finding was planted (frontal DICOM images)",
        '  masks.npz    lesion masks, boolean, rows x columns of the film, keyed "<image_uid>/<finding>"',
        "               (Cardiomegaly: the whole heart)",
        "",
        "Every header says PHANTOM (patient ID, manufacturer, series description, image and patient",
        "comments, Quality Control Image = YES) and every picture has it burned in. Burned In Annotation",
        "is NO all the same: that tag asks for text that identifies a patient.",
        "",
    ]
    for film in films:
        planted = ", ".join(film.findings) or "no finding"
        what = f"{film.note}; {planted}" if film.subject is Subject.CHEST else film.note
        lines += [film.path, f"    {what}{_stored(film)}"]
    return "\n".join([*lines, ""])


def _stored(film: Film) -> str:
    if film.container in (Container.PNG, Container.JPEG):
        return ""
    e = film.encoding
    polarity = "MONOCHROME1" if e.inverted else "MONOCHROME2"
    extra = ", no preamble" if e.bare else ""
    blank = ", view and body part blank" if e.silent else ""
    return f"; {e.modality}, {e.transfer_syntax.name}, {e.bits} bits, {polarity}, {e.tone}{extra}{blank}"
