"""From the bytes of a DICOM file to the few elements that rendering needs.

Nothing else of the header is read, so no patient data can reach a message, and a broken element of no
concern cannot stop a score.
"""

from __future__ import annotations

import re
import zlib
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
)

from cxrbatch.intake.reasons import Reason
from cxrbatch.radiographs.limits import MAX_INFLATED_BYTES
from cxrbatch.radiographs.radiograph import RadiographError

ELEMENTS = [
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "RescaleIntercept",
    "RescaleSlope",
    "ModalityLUTSequence",
    "VOILUTSequence",
    "PresentationLUTShape",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "PixelData",
]

# (7FE0,0010), OB or OW, two reserved bytes, undefined length: how compressed pixel data begin (PS3.5 A.4).
_STARTS_ENCAPSULATED = re.compile(rb"\xe0\x7f\x10\x00O[BW]\x00\x00\xff\xff\xff\xff")


def parse_dicom(data: bytes) -> Dataset:
    """The elements of `ELEMENTS`.

    A deflated data set is inflated within `MAX_INFLATED_BYTES`; it then is explicit little endian
    (PS3.5 A.5), and bears no transfer syntax any more. Raises `RadiographError`: ``unreadable``,
    ``too_large``, ``decode_failed``.
    """
    try:
        inflated = _inflated(data)
        ds = dcmread(
            BytesIO(data if inflated is None else inflated), force=True, specific_tags=list(ELEMENTS)
        )
    except RadiographError:
        raise
    except Exception as error:
        raise RadiographError(
            Reason.UNREADABLE, f"The DICOM header cannot be parsed ({type(error).__name__})."
        ) from None
    if "PixelData" not in ds and _STARTS_ENCAPSULATED.search(data):
        # pydicom drops the data set where it does not find the end of an element of undefined length.
        raise RadiographError(Reason.DECODE_FAILED, "The file ends within its compressed pixel data.")
    return ds


def _inflated(data: bytes) -> bytes | None:
    """The data set of a deflated file, or None where the file is not deflated."""
    stream = BytesIO(data)
    read_preamble(stream, force=True)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return None
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(stream.read(), MAX_INFLATED_BYTES)
    except zlib.error:
        raise RadiographError(Reason.DECODE_FAILED, "The deflated data set is damaged.") from None
    if inflater.unconsumed_tail:
        raise RadiographError(
            Reason.TOO_LARGE, f"The deflated data set unfolds to more than {MAX_INFLATED_BYTES:,} bytes."
        )
    if not inflater.eof:
        raise RadiographError(Reason.DECODE_FAILED, "The deflated data set ends too early.")
    return inflated
