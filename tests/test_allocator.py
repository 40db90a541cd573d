"""Freed memory is kept: seen in the page faults that the kernel counts, not in time."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from cxrbatch.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
size, arrays = int(sys.argv[2]), int(sys.argv[3])
film = lambda: [bytearray(size) for _ in range(arrays)]
film()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    film()
mapped = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(mapped * resource.getpagesize() / (20 * size * arrays))
"""


def mapped_share(mode: str, size: int, arrays: int) -> float:
    """Part of the memory of 20 films, each of some arrays of `size` bytes, that the system had to map."""
    command = [sys.executable, "-c", PROGRAM, mode, str(size), str(arrays)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc's allocator")


@glibc
def test_a_film_takes_the_memory_of_the_one_before() -> None:
    assert mapped_share("keep", 16 << 20, 8) < 0.05
    assert mapped_share("as it comes", 16 << 20, 8) > 0.5  # or this module could go


@glibc
def test_an_enormous_array_is_given_back_at_once() -> None:
    assert mapped_share("keep", 200 << 20, 1) > 0.9
