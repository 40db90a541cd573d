"""The site's secret key: where it is from, and what it must look like. It is never printed.

Its fingerprint may be: it tells two keys apart, and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cxrbatch.request import RequestError

KEY = "CXRBATCH_SITE_KEY"
KEY_FILE = "CXRBATCH_SITE_KEY_FILE"
SHORTEST = 32
"""Characters of the shortest key that is taken; a key made here has 64 (256 bits, hexadecimal)."""


@dataclass(frozen=True, slots=True)
class SiteKey:
    """`secret` is what pseudonyms are keyed with; `file` is where it was read from, if from a file."""

    secret: bytes = field(repr=False)
    file: Path | None = None

    @property
    def fingerprint(self) -> str:
        """12 hex digits that differ from key to key."""
        return hmac.new(self.secret, b"fingerprint", hashlib.sha256).hexdigest()[:12]


def site_key(
    configured: Path | None, environment: Mapping[str, str] = os.environ, run: Path | None = None
) -> SiteKey:
    """The key: of the environment, else of the file that the environment or cxrbatch.toml names.

    A file that does not exist is made, with a random key and mode 600.

    Raises:
        RequestError: none is named; or the file can be read by others, is someone else's, holds no key, or
            lies in the folder `run`.
    """
    if text := environment.get(KEY, "").strip():
        return SiteKey(_checked(text, f"The environment variable {KEY}"))
    named = environment.get(KEY_FILE) or configured
    if not named:
        raise RequestError(
            "--deidentify needs a site key: set key_file under [patient_data] in cxrbatch.toml, or the "
            f"environment variable {KEY_FILE}."
        )
    path = Path(named).absolute()
    if run is not None:
        require_outside(path, run, "site key file")
    try:
        if not path.exists():
            _make(path)
        return SiteKey(_checked(_read(path), f"The site key file {path}"), path)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise RequestError(f"The site key file {path} cannot be used: {why}.") from None


def require_private(found: os.stat_result, what: str) -> None:
    """Refuse a file that anyone but its owner can read or write.

    Raises:
        RequestError: it is not the user's own, or others have rights to it.
    """
    if found.st_uid not in (os.geteuid(), 0):
        raise RequestError(f"{what} belongs to another user: it has to be the user's who runs cxrbatch.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise RequestError(f"{what} can be read by others (mode {stat.S_IMODE(found.st_mode):o}): chmod 600.")


def require_outside(path: Path, run: Path, what: str) -> None:
    """Refuse what must be kept from those who may read the run folder, where it lies in there.

    Raises:
        RequestError: it does.
    """
    if path.resolve().is_relative_to(run.resolve()):
        raise RequestError(f"The {what} must not lie in the run folder, whose readers it is kept from.")


def _read(path: Path) -> str:
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise RequestError(f"The site key file {path} is no regular file.")
        require_private(found, f"The site key file {path}")
        return file.read(4096).decode("ascii").strip()


def _checked(text: str, what: str) -> bytes:
    if len(text) < SHORTEST:
        raise RequestError(f"{what} holds {len(text)} characters: a key has at least {SHORTEST}.")
    return text.encode()


def _make(path: Path) -> None:
    """A new key, whole or not at all: of two runs that make it at once, one wins and both read that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
