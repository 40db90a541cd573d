"""Shared memory between processes."""

from __future__ import annotations

import os

import numpy as np

from cxrbatch.pipeline.blocks import BlockStore, SharedBlock, write_film


def test_film_written_through_the_address_is_read_back() -> None:
    block = SharedBlock(1000)
    film = np.arange(12, dtype=np.uint16).reshape(3, 4)
    write_film(block.address, film)
    copy = block.copy_film(3, 4)
    write_film(block.address, film * 0)
    np.testing.assert_array_equal(copy, film)  # a copy: the block may be written again
    block.close()


def test_block_is_not_bounded_by_dev_shm() -> None:
    filesystem = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    block = SharedBlock(1 << 20)
    after = os.statvfs("/dev/shm") if filesystem else None
    assert filesystem is None or after is None or after.f_bfree >= filesystem.f_bfree - 16
    block.close()


def test_store_reuses_a_block_that_is_large_enough() -> None:
    store = BlockStore()
    first = store.take(8192)
    store.give_back(first)
    assert store.take(4096) is first
    store.give_back(first)
    assert store.take(1 << 20) is not first
    store.close()
