"""Reading one item of a Modality or VOI LUT Sequence (PS3.3 C.11.1.1, C.11.2.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset


class LutError(ValueError):
    """A LUT that cannot be used; the text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Lut:
    """`entries[0]` is what input `first` and all below map to; the last entry, all above the end.
    Entries lie within 0 .. 2**bits - 1."""

    first: int
    bits: int
    entries: NDArray[np.int64]

    def look_up(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The entries for `inputs`, which are rounded to whole numbers first."""
        index = np.clip(np.rint(inputs) - self.first, 0, len(self.entries) - 1).astype(np.int64)
        return self.entries[index].astype(np.float64)


def read_lut(item: Dataset, lowest: float, highest: float, little_endian: bool) -> Lut:
    """The LUT of a sequence item, to be fed values of `lowest` .. `highest`. Raises `LutError`.

    The descriptor is (entries, first input, bits an entry); 0 entries stand for 65,536. The first input
    may be written unsigned although it is negative: it is read as signed where only then the inputs meet it.
    """
    try:
        descriptor = [int(n) for n in item["LUTDescriptor"].value]
        data = item["LUTData"]
        raw = data.value
    except Exception as error:  # missing, or a value that pydicom cannot convert
        raise LutError("its descriptor or data cannot be read") from error
    if len(descriptor) != 3:
        raise LutError(f"its descriptor has {len(descriptor)} values instead of 3")
    length, first, bits = (descriptor[0] % 65536) or 65536, descriptor[1], descriptor[2]
    if not 1 <= bits <= 16:
        raise LutError(f"its descriptor says {bits} bits an entry")
    entries = _entries(raw, length, bits, little_endian)
    if len(entries) < length:
        raise LutError(f"it has {len(entries)} entries where its descriptor says {length}")
    entries = entries[:length]
    if entries.max() >= 1 << bits:
        raise LutError(f"an entry of {entries.max()} exceeds its {bits} bits")
    if first >= 1 << 15 and lowest < 0 and highest < first:
        first -= 1 << 16
    return Lut(first, bits, entries)


def _entries(raw: object, length: int, bits: int, little_endian: bool) -> NDArray[np.int64]:
    if isinstance(raw, bytes):
        # OW; entries of 8 bits or fewer may be packed two in a word (PS3.3 C.11.1.1.1).
        if bits <= 8 and len(raw) in (length, length + length % 2):
            return np.frombuffer(raw, dtype="u1").astype(np.int64)
        whole = raw[: len(raw) // 2 * 2]
        return np.frombuffer(whole, dtype="<u2" if little_endian else ">u2").astype(np.int64)
    try:
        entries = np.atleast_1d(np.asarray(raw, dtype=np.int64))
    except (TypeError, ValueError, OverflowError) as error:
        raise LutError("its data are no whole numbers") from error
    if bits <= 8 and 2 * len(entries) in (length, length + 1):
        entries = np.stack([entries & 0xFF, entries >> 8], axis=1).ravel()
    return entries
