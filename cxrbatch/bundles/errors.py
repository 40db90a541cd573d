"""The errors of this room."""

from __future__ import annotations


class BundleError(Exception):
    """A model bundle that is unknown, damaged, altered, or does not fit; the message says what to do."""


class DownloadError(BundleError):
    """Weights could not be fetched, though what was asked for is right; the message says what to do."""
