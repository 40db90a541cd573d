"""Shared memory through which decoded films come back from the worker processes.

Anonymous memory (memfd_create) that workers open through /proc: unlike named shared memory it is not
bounded by the size of /dev/shm (64 MB in a container), and a killed run leaves nothing behind.
"""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class SharedBlock:
    """One block of memory, owned by the main process, written by a worker."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._descriptor = os.memfd_create("cxrbatch-film", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self._descriptor, capacity)
            self._map = mmap.mmap(self._descriptor, capacity, mmap.MAP_SHARED)
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def address(self) -> str:
        """Where a process of the same user finds the block, as long as this one lives."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def copy_film(self, rows: int, columns: int) -> NDArray[np.uint16]:
        """What a worker wrote, as an array of its own: the block may be reused at once."""
        flat = np.frombuffer(self._map, np.uint16, rows * columns)
        return flat.reshape(rows, columns).copy()

    def close(self) -> None:
        self._map.close()
        os.close(self._descriptor)


def write_film(address: str, pixels: NDArray[np.uint16]) -> None:
    """Called in a worker: put a film into the block at `address`, which must be large enough.

    Written and not mapped: the system copies a film in a third of the time that mapping its pages takes.
    """
    with Path(address).open("r+b") as block:
        block.write(np.ascontiguousarray(pixels).data)


class BlockStore:
    """Blocks that go round: handed out for a film, taken back when it has been copied out. For any thread."""

    def __init__(self) -> None:
        self._free: list[SharedBlock] = []
        self._lock = threading.Lock()

    def take(self, nbytes: int) -> SharedBlock:
        """A block of at least `nbytes`.

        Raises:
            OSError: there is not that much memory.
        """
        with self._lock:
            for position, block in enumerate(self._free):
                if block.capacity >= nbytes:
                    return self._free.pop(position)
            if self._free:  # too small for today's films: give way to a larger one
                self._free.pop().close()
        return SharedBlock(max(nbytes, mmap.PAGESIZE))

    def give_back(self, block: SharedBlock) -> None:
        self._free.append(block)

    def close(self) -> None:
        while self._free:
            self._free.pop().close()
