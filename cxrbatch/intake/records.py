"""What intake hands on: small frozen records, no pydicom objects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cxrbatch.intake.reasons import Reason


class FileKind(StrEnum):
    """What a file is by its content; names and extensions are not trusted."""

    DICOM = "dicom"
    PNG = "png"
    JPEG = "jpeg"


class View(StrEnum):
    """The projection, as far as the header tells. Unknown is scored, and marked so."""

    PA = "PA"
    AP = "AP"
    FRONTAL = "frontal"
    """Frontal by its orientation, but whether PA or AP is not said."""
    LATERAL = "lateral"
    OBLIQUE = "oblique"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One input file as found on disk.

    `path` is absolute and may hold surrogate escapes where its bytes are no UTF-8 (PEP 383).
    """

    path: str
    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Patient:
    """Who the image is of; every field may be blank.

    `birth_date` is YYYYMMDD, `age` as in DICOM (``061Y``)."""

    id: str = ""
    name: str = ""
    sex: str = ""
    birth_date: str = ""
    age: str = ""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a header says of one image, as plain text. A PNG or JPEG has only the kind and the size.

    Dates are YYYYMMDD and times HHMMSS as in DICOM; a value that cannot be read is blank.
    """

    kind: FileKind
    rows: int
    columns: int
    study_uid: str = ""
    series_uid: str = ""
    image_uid: str = ""
    accession: str = ""
    study_date: str = ""
    study_time: str = ""
    modality: str = ""
    body_part: str = ""
    view: View = View.UNKNOWN
    manufacturer: str = ""
    institution: str = ""
    transfer_syntax: str = ""
    patient: Patient = Patient()
    may_be_burned_in: bool = False
    """Whether the pixels may hold text, such as a name: the header says so, or such images often do."""
    notes: tuple[str, ...] = ()
    """Sentences for the reader of the report, e.g. that the view is unknown."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that passed the header screening and is to be decoded and scored."""

    source: SourceFile
    header: ImageHeader


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that is not scored, and why: `detail` is one sentence saying what, where and what to do.

    A file that was recognised but whose header is still worth keeping (its study) carries `header`.
    """

    source: SourceFile
    reason: Reason
    detail: str
    header: ImageHeader | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file nobody would call an image (DICOMDIR, a text file): only counted."""

    source: SourceFile
    what: str


@dataclass(frozen=True, slots=True)
class Study:
    """The candidates of one study, sorted by path.

    `key` is safe as a folder name (contract 3.3). `uid` is the StudyInstanceUID, blank where the
    study is a PNG, a JPEG or a folder of them.
    """

    key: str
    uid: str
    images: tuple[Candidate, ...]
