"""Grouping images into studies, and naming studies and paths for the run folder (contract 3.3)."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Literal

from cxrbatch.intake.records import Candidate, FileKind, Study


def _sha256(named: bytes) -> str:
    return hashlib.sha256(named).hexdigest()


def group(
    candidates: Iterable[Candidate],
    by: Literal["study", "folder"] = "study",
    digest: Callable[[bytes], str] = _sha256,
) -> list[Study]:
    """Studies in the order of their keys, the images of each in the order of their paths' bytes.

    DICOM images belong together by StudyInstanceUID; one without is a study of its own. So is a PNG or
    JPEG, unless `by` is "folder": then those of one folder are one study.
    """
    members: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        members[study_key(candidate, by, digest)].append(candidate)
    return [_study(key, members[key]) for key in sorted(members)]


def _study(key: str, images: list[Candidate]) -> Study:
    ordered = tuple(sorted(images, key=lambda image: os.fsencode(image.source.path)))
    return Study(key, ordered[0].header.study_uid, ordered)


def study_key(
    candidate: Candidate,
    by: Literal["study", "folder"] = "study",
    digest: Callable[[bytes], str] = _sha256,
) -> str:
    """20 hex digits that name a study: the start of the digest of its UID, or else of its path."""
    path = os.fsencode(candidate.source.path)
    if candidate.header.study_uid:
        named = b"uid:" + os.fsencode(candidate.header.study_uid)
    elif by == "folder" and candidate.header.kind is not FileKind.DICOM:
        named = b"folder:" + path.rpartition(b"/")[0]
    else:
        named = b"file:" + path
    return digest(named)[:20]


def percent_encode(path: str) -> str:
    """A path as valid Unicode text on one line: bytes that are no UTF-8 become ``%XX`` (contract 3.3).

    So do control characters: a line break or an ANSI escape in a file's name must not forge a line of a
    log, or take hold of the terminal on which a table is looked at. A ``%`` of the path itself is encoded
    only where two hex digits follow it, so that it reads as an escape; any other path stays as it is.
    `percent_decode` gives back the same path.
    """
    text = re.sub(r"%(?=[0-9A-Fa-f]{2})", "%25", path)
    return _UNPRINTABLE.sub(lambda match: "".join(f"%{byte:02X}" for byte in os.fsencode(match[0])), text)


# C0 and C1 controls, DEL, line and paragraph separators, bidirectional overrides, and PEP 383's surrogates.
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\udc80-\udcff]")


def percent_decode(text: str) -> str:
    """The path that `percent_encode` made `text` of."""
    return os.fsdecode(
        re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()), os.fsencode(text))
    )
