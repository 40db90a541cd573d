"""TensorFlow greets every process with lines about CUDA and oneDNN, before its log level can be set.

A night's log is read by people at 3 a.m.: they should find only what matters to them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imports_kept_quiet() -> Iterator[None]:
    """Within the block what native code writes to stderr is dropped. Python exceptions pass as ever."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
