"""Stable pseudonyms: HMAC-SHA256 (RFC 2104) of a value and its kind, under the site key.

The same value gives the same pseudonym in every run under one key, and nobody without the key can tell
whether a guessed value belongs to one, as they could with a plain hash of an ID or a UID.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid

SHORTEST_SHIFT, LONGEST_SHIFT = 31, 3650
"""Days by which a patient's dates are moved back."""


class Pseudonyms:
    """Pseudonyms under one key."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def hexadecimal(self, kind: str, value: bytes | str) -> str:
        """64 hex digits. The kind keeps a patient ID apart from an accession number of the same digits."""
        return self._digest(kind, value).hex()

    def short(self, kind: str, prefix: str, value: str) -> str:
        """``prefix`` and 12 hex digits (48 bits), which fits DICOM's SH; blank for a blank value."""
        return f"{prefix}{self.hexadecimal(kind, value)[:12]}" if value else ""

    def uid(self, value: str) -> str:
        """A valid UID (PS3.5, B.2: ``2.25.`` and a UUID) for a UID of any kind; blank for a blank one."""
        if not value:
            return ""
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', value)[:16], version=4).int}"

    def number(self, kind: str, value: bytes | str) -> int:
        """63 bits."""
        return int.from_bytes(self._digest(kind, value)[:8]) >> 1

    def days_earlier(self, whose: str) -> int:
        """By how many days the dates of one patient are moved: the same for all of them."""
        return SHORTEST_SHIFT + self.number("days", whose) % (LONGEST_SHIFT - SHORTEST_SHIFT + 1)

    def _digest(self, kind: str, value: bytes | str) -> bytes:
        raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        return hmac.new(self._secret, kind.encode() + b"\0" + raw, hashlib.sha256).digest()
