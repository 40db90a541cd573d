"""SHA-256 of a bundle's files: ``SHA256SUMS`` beside the card, and the one hash that names a bundle."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from cxrbatch.bundles.errors import BundleError

SUMS_FILE = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sums_text(digests: Mapping[str, str]) -> str:
    """`digests` (file name to SHA-256) as ``sha256sum`` would write them, sorted by file name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def combined_digest(digests: Mapping[str, str]) -> str:
    """The bundle's hash: SHA-256 of its `sums_text`, so ``sha256sum SHA256SUMS`` prints it."""
    return hashlib.sha256(sums_text(digests).encode()).hexdigest()


def check_sums(folder: Path, digests: Mapping[str, str]) -> None:
    """Compare `digests` with ``SHA256SUMS`` in `folder`, if there is one.

    Raises:
        BundleError: a file differs from its line, has none, or a line is malformed.
    """
    path = folder / SUMS_FILE
    if not path.is_file():
        return
    expected = _read_sums(path)
    for name, digest in digests.items():
        if expected.get(name) != digest:
            raise BundleError(altered(folder / name, expected.get(name, "no line of its own"), digest))


def altered(path: Path, expected: str, found: str) -> str:
    """The sentence for a file that is not the one the bundle was made with."""
    return (
        f"{path} is not the file this bundle was made with: SHA-256 expected {expected}, found {found}. "
        f"Restore the file; after a change that was meant, write {SUMS_FILE} anew with sha256sum."
    )


def _read_sums(path: Path) -> dict[str, str]:
    sums = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BundleError(f"{path}, line {number}: expected '<sha256>  <file>', found {line!r}.")
        sums[match[2]] = match[1]
    return sums
