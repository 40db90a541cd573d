"""What is new or changed among the input files since the ledger last saw them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from cxrbatch.intake.reasons import Reason, ReasonGroup
from cxrbatch.intake.records import SourceFile
from cxrbatch.ledger.ledger import KnownFile, Ledger

_CHUNK = 1 << 20


def file_digest(path: str) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def new_or_changed(
    ledger: Ledger,
    sources: Iterable[SourceFile],
    *,
    verify: bool = False,
    digest: Callable[[str], str] = file_digest,
    retry_failed: bool = False,
) -> list[SourceFile]:
    """The files that are to be looked at: those the ledger does not know as they are now.

    Size, modification time and inode decide; where they differ the content is digested and compared,
    and a file that only was touched is noted as such. One that could not be read is tried again whatever
    it looks like: permissions and shares are mended without a trace in these. One that failed otherwise
    (crashed its decoder, say) is tried again with `retry_failed` only. With `verify` every content is
    digested, and looked at again where there is no digest from before. `digest` tells the digest of a path
    as the ledger keeps it.
    """
    known = ledger.known_files()
    wanted = []
    for source in sources:
        before = known.get(source.path)
        if before is None or _is_to_be_tried_again(before, retry_failed):
            wanted.append(source)
        elif before.source != source or verify:
            if _same_bytes(before, source, digest):
                ledger.touch(source)
            else:
                wanted.append(source)
    return wanted


def _is_to_be_tried_again(before: KnownFile, retry_failed: bool) -> bool:
    if before.reason == Reason.UNREADABLE:
        return True
    return retry_failed and bool(before.reason) and Reason(before.reason).group is ReasonGroup.FAILED


def _went_by_its_header(before: KnownFile) -> bool:
    if before.state == "ignored":
        return True
    return bool(before.reason) and Reason(before.reason).group is ReasonGroup.SCREENED_OUT


def _same_bytes(before: KnownFile, source: SourceFile, digest: Callable[[str], str]) -> bool:
    if not before.sha256:  # its content was never digested; a header that decided alone can be read again
        return before.source == source and not _went_by_its_header(before)
    if before.source.size != source.size:
        return False
    try:
        return digest(source.path) == before.sha256
    except OSError:
        return False
