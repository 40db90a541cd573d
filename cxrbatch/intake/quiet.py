"""Keeping decoders silent: what they say of a file may hold patient data and has no place in a log."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """No Python warnings, and no messages of pydicom's and Pillow's loggers, while inside."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "PIL", "pylibjpeg", "openjpeg", "libjpeg")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
