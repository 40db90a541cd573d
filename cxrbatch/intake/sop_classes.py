"""SOP classes by what they mean for scoring (PS3.6, Annex A; PS3.4, B.5)."""

from __future__ import annotations

from pydicom.config import IGNORE
from pydicom.uid import UID

DICOMDIR = "1.2.840.10008.1.3.10"

RADIOGRAPH = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
        "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
        "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray, for processing
    }
)
FOR_PROCESSING = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray
        "1.2.840.10008.5.1.4.1.1.1.2.1",  # Digital Mammography
        "1.2.840.10008.5.1.4.1.1.1.3.1",  # Digital Intra-Oral
    }
)
SECONDARY_CAPTURE = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.7",
        "1.2.840.10008.5.1.4.1.1.7.1",
        "1.2.840.10008.5.1.4.1.1.7.2",
        "1.2.840.10008.5.1.4.1.1.7.3",
        "1.2.840.10008.5.1.4.1.1.7.4",
    }
)

_DERIVED_RESULTS = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.66.5",  # Surface Segmentation
        "1.2.840.10008.5.1.4.1.1.66.6",  # Tractography Results
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
        "1.2.840.10008.5.1.4.1.1.66.8",  # Height Map Segmentation
        "1.2.840.10008.5.1.4.1.1.90.1",  # Content Assessment Results
    }
)
_DERIVED_PREFIXES = (
    "1.2.840.10008.5.1.4.1.1.88.",  # structured reports, CAD and key objects among them
    "1.2.840.10008.5.1.4.1.1.104.",  # encapsulated PDF, CDA ...
)
_NO_IMAGE_PREFIXES = (
    "1.2.840.10008.5.1.4.1.1.9.",  # waveforms
    "1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    "1.2.840.10008.5.1.4.1.1.66",  # raw data, registrations, fiducials
    "1.2.840.10008.5.1.4.1.1.200.",  # protocols
    "1.2.840.10008.5.1.4.34.",  # RT instructions
    "1.2.840.10008.5.1.4.38.",  # hanging protocols
    "1.2.840.10008.5.1.4.39.",  # palettes
    "1.2.840.10008.5.1.4.4",  # implant templates
)
_RT_IMAGES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.481.1",  # RT Image
        "1.2.840.10008.5.1.4.1.1.481.2",  # RT Dose
        "1.2.840.10008.5.1.4.1.1.481.23",  # Enhanced RT Image
        "1.2.840.10008.5.1.4.1.1.481.24",  # Enhanced Continuous RT Image
    }
)
_RT_PREFIX = "1.2.840.10008.5.1.4.1.1.481."


def is_derived_result(uid: str) -> bool:
    """A report, a segmentation, a map: what someone or something found, not what was taken."""
    return uid in _DERIVED_RESULTS or uid.startswith(_DERIVED_PREFIXES)


def has_no_image(uid: str) -> bool:
    """An object that never holds an image: a waveform, a plan, a presentation state."""
    if uid.startswith(_RT_PREFIX):
        return uid not in _RT_IMAGES
    return uid.startswith(_NO_IMAGE_PREFIXES)


def is_image(uid: str) -> bool:
    """A standard class whose objects are images."""
    return "Image Storage" in name_of(uid)


def name_of(uid: str) -> str:
    """The standard's name of a class, or in quotes what stands in place of one."""
    if not uid:
        return "blank"
    name = str(UID(uid, IGNORE).name)
    return f"'{uid}'" if name == uid else name
