"""The words of a header that may be shown: closed lists, so that nothing typed by hand gets through."""

from __future__ import annotations

from pydicom.uid import UID_dictionary

from cxrbatch.intake import modalities

# Defined terms of PS3.16, Annex L, and what is seen in the field; no term is a person's name.
_BODY_PARTS = """
    ABDOMEN ANKLE ARM BREAST CALCANEUS CERVICALSPINE CHEST CHESTABDOMEN CLAVICLE COCCYX CSPINE ELBOW EXTREMITY
    FEMUR FINGER FOOT FOREARM HAND HEAD HEART HIP HUMERUS JAW KNEE LEG LSPINE LUMBARSPINE MAXILLA MANDIBLE
    NECK PATELLA PELVIS RIB RIBS SCAPULA SHOULDER SKULL SPINE SSPINE STERNUM THIGH THORAX THUMB TOE TSPINE
    THORACICSPINE TIBIA TIBFIB WHOLEBODY WRIST ZYGOMA
"""
_VIEWS = "PA AP LL RL LLD RLD RLO LLO RAO LAO RPO LPO LAT LATERAL OBLIQUE FRONTAL SWIMMERS"
_OTHER = (
    *("FOR PROCESSING", "FOR PRESENTATION", "CAD", "CAD RESULT", "HEAT MAP", "HEATMAP", "SALIENCY"),
    *("SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "BONE_SUPPRESSED", "MONOCHROME1", "MONOCHROME2", "RGB"),
    *("PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "YES", "NO"),
)
MODALITIES = modalities.RADIOGRAPHY | modalities.CAPTURE | modalities.DOCUMENT | modalities.OTHER
BODY_PARTS = frozenset(_BODY_PARTS.split())
WORDS = frozenset(_VIEWS.split()) | frozenset(word.upper() for word in _OTHER) | MODALITIES | BODY_PARTS
UIDS = frozenset(UID_dictionary)
"""The UIDs of the standard itself, which name classes and encodings and no object."""
MAKERS = (
    *(
        "Agfa",
        "Canon",
        "Carestream",
        "Del Medical",
        "Fischer",
        "Fujifilm",
        "GE",
        "Hologic",
        "Imaging Dynamics",
    ),
    *("Kodak", "Konica Minolta", "Lodox", "Lumisys", "Mindray", "Philips", "Rayence", "Samsung", "Sedecal"),
    *("Shimadzu", "Siemens", "Swissray", "Toshiba", "Varian", "Vieworks", "Vidar"),
)


def maker_of(text: str) -> str:
    """The known maker whose name begins `text`; blank for any other."""
    folded = text.casefold()
    for maker in MAKERS:
        name = maker.casefold()
        if folded == name or (folded.startswith(name) and not folded[len(name)].isalnum()):
            return maker
    return ""
