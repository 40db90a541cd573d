"""Whether a body part as written in a header is the chest; hospitals write it in many ways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from cxrbatch.intake.dicom_elements import Code


class Region(StrEnum):
    """What a body part's name tells."""

    CHEST = "chest"
    OTHER = "other"
    UNKNOWN = "unknown"
    """Blank, or a word that is not known: no reason to leave a film out."""


def region_of(body_part: str, codes: Sequence[Code]) -> Region:
    """The region by BodyPartExamined (0018,0015), then AnatomicRegionSequence (0008,2218).

    The chest wins wherever it is named, so that a lying body part beside a true code loses no film.
    """
    found = [region_of_words(body_part), *(_region_of_code(code) for code in codes)]
    if Region.CHEST in found:
        return Region.CHEST
    return Region.OTHER if Region.OTHER in found else Region.UNKNOWN


_CHEST_CODES = frozenset(
    {
        # CID 4031, Common Anatomic Region, SNOMED CT and the SNOMED-RT codes it replaced.
        *("816094009", "51185008", "43799004", "39607008", "113197003", "72410000", "86598002"),
        *("416550000", "417437006", "416775004", "416152001", "416319003", "80891009"),
        *("T-D3000", "T-D3200", "T-28000", "T-11300", "T-D3300"),
        *("R-FAB55", "R-FAB52", "R-FAB56", "R-FAB53", "R-FAB54"),
    }
)


def _region_of_code(code: Code) -> Region:
    return Region.CHEST if code.value in _CHEST_CODES else region_of_words(code.meaning)


# Films of the ribs, the heart or the mediastinum show the lungs and are often labelled loosely: scored.
_CHEST = re.compile(
    r"CHEST|CHST|\bCXR|\bPCXR|THORA(X|KS)|TH?ORACE\b|\bTORAX|TÓRAX|\bLUNGS?\b|\bLUNGE|\bLONGEN\b|\bPULM|PULMON"
    r"|POUMON|POLMON|\bRIBS?\b|\bHEART\b|MEDIASTIN|BRUSTKORB|KLATKA|HRUDN[IÍ]K|MELLKAS|KEUHKO|AKC[Iİ]ĞER|AKCIGER"
    r"|GÖĞÜS|GOGUS|NGỰC|ГРУД|Л[ЕЁ]ГК|ΘΩΡΑΚ|ΘΏΡΑΚ|ΠΝΕΎΜΟΝ|ΠΝΕΥΜΟΝ|胸|肺|흉부|가슴|צדר|חזה|صدر"
)
_OTHER_STEMS = re.compile(
    r"ABDOM|PELVI|EXTREM|SKULL|SPINE|SPINAL|LUMB|SACR|COCCY|VERTEB|WIRBEL|\bCOLUMN|CERVIC"
    r"|SHOULDER|CLAVIC|SCAPUL|HUMER|ELBOW|FOREARM|WRIST|FINGER|THUMB|FEMUR|FEMOR|PATELLA|TIBIA|FIBULA|ANKLE"
    r"|CALCAN|MANDIB|MAXILL|SINUS|ORBIT|FACIAL|NASAL|\bDENTAL|TEETH|TOOTH|ZYGOM|MASTOID|BREAST|MAMM[AO]"
    r"|STOMACH|OESOPH|ESOPH|BLADDER|KIDNEY|COLON\b|\bUTER|LOWERLIMB|UPPERLIMB|LOWERLEG|UPPERARM"
    r"|SCHULTER|BECKEN|SCHÄDEL|SCHAEDEL|RODILLA|CADERA|HOMBRO|TOBILLO|GENOU|BASSIN|EPAULE|ÉPAULE|CHEVILLE"
    r"|КОЛЕН|ЧЕРЕП|ТАЗ\b|КИСТ|СТОП|ЖИВОТ|БРЮШ|ПОЗВОН|ПЛЕЧ|腹|膝|骨盤|骨盆|頭|颅|头|腰|頸|颈|肩|肘|足|手|脊|股|踝|腕"
    r"|복부|무릎|골반|두개|척추|어깨|손|발목"
)
_OTHER_WORD_LIST = """
    ABD ANCA ANUS ARM BEIN BONE BRAIN CALF COLLO COU CRANE CRANEO CRÁNEO CRÂNE CSPINE EAR EYE EYES
    FACE FEET FOOT FUSS FUß GINOCCHIO HALS HANCHE HAND HANDS HEAD HEEL HEPAR HIP HIPS HUEFTE HÜFTE
    IAC JAW JOINT KNEE KNEES KNIE KOPF KUB LARYNX LEG LEGS LIMB LIVER LS LSPINE MAIN MANO NECK NOSE
    PANCREAS PENIS PHARYNX PIE PIED PIEDE PROSTATE RECTUM SCROTUM SPALLA SPLEEN SSPINE STERNO
    STERNUM TESTA TESTIS THIGH TMJ TOE TOES TONGUE TSPINE URETER URETHRA
"""
_OTHER_WORDS = frozenset(_OTHER_WORD_LIST.split())


def region_of_words(text: str) -> Region:
    """The region that a free text names.

    The thoracic spine is not the chest, but 'CHEST' beside anything else ('CHEST_ABDOMEN') is.
    """
    upper = text.upper().replace("_", " ")
    if not upper.strip():
        return Region.UNKNOWN
    if _CHEST.search(upper):
        return Region.CHEST
    words = set(re.findall(r"[^\W\d]+", upper))
    if _OTHER_STEMS.search(upper) or words & _OTHER_WORDS:
        return Region.OTHER
    return Region.UNKNOWN
