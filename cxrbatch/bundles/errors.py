"""The one error of this room."""

from __future__ import annotations


class BundleError(Exception):
    """A model bundle that is unknown, damaged, altered, or does not fit; the message says what to do."""
