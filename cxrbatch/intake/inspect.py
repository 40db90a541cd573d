"""One input file, from its bytes to a verdict: scored, rejected with a reason, or ignored."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

from cxrbatch.intake import sop_classes
from cxrbatch.intake.content import HEAD_BYTES, OtherFile, sniff
from cxrbatch.intake.dicom_stream import HeaderError
from cxrbatch.intake.headers import read_header
from cxrbatch.intake.quiet import quiet_decoders
from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import Candidate, Ignored, Rejection, SourceFile
from cxrbatch.intake.screening import burned_in_notes, notes, screen

MAX_FILE_BYTES = 1 << 30
"""A larger file is not read into memory: uncompressed, the largest image that is decoded takes 800 MB."""


def inspect(source: SourceFile) -> Candidate | Rejection | Ignored:
    """What becomes of one file by its content and header. Never raises; reads no pixels.

    May run in a worker process: it imports no TensorFlow.
    """
    try:
        with quiet_decoders():
            return _inspect(source)
    except HeaderError as error:
        return Rejection(source, error.reason, error.detail)
    except OSError as error:
        return Rejection(
            source,
            Reason.UNREADABLE,
            f"The file cannot be read ({error.strerror or type(error).__name__}): check its permissions"
            " and the disk or share it lies on.",
        )
    except Exception as error:  # a header that breaks the parser costs this file, never the night
        return Rejection(
            source,
            Reason.UNREADABLE,
            f"The header cannot be read ({type(error).__name__}): the file is damaged; get it again.",
        )


def _inspect(source: SourceFile) -> Candidate | Rejection | Ignored:
    # Not blocking: the path may have become a pipe since it was listed, and opening one waits for ever.
    descriptor = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return Rejection(source, Reason.NOT_AN_IMAGE, "This is no regular file, so it is not opened.")
        kind = sniff(file.read(HEAD_BYTES), Path(source.path).name, found.st_size)
        if isinstance(kind, OtherFile):
            if kind.reason is None:
                return Ignored(source, kind.detail)
            return Rejection(source, kind.reason, kind.detail)
        header, facts = read_header(file, kind)
    if facts.sop_class == sop_classes.DICOMDIR:
        return Ignored(source, "a DICOMDIR")
    verdict = screen(header, facts)
    if verdict is not None:
        return Rejection(source, verdict.reason, verdict.detail, header)
    if found.st_size > MAX_FILE_BYTES:
        detail = f"The file has {found.st_size:,} bytes, more than {MAX_FILE_BYTES >> 30} GiB: no film does."
        return Rejection(source, Reason.TOO_LARGE, detail, header)
    burned_in = burned_in_notes(facts)
    about = (*notes(header, facts), *burned_in)
    return Candidate(source, replace(header, may_be_burned_in=bool(burned_in), notes=about))
