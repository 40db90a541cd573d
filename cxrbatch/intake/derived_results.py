"""Telling results from films: AI output, reports, screenshots, captures of something else.

ImageType's first two values say nothing: many films leave the modality as DERIVED\\PRIMARY.
"""

from __future__ import annotations

import re

from cxrbatch.intake import modalities, sop_classes
from cxrbatch.intake.body_part import Region, region_of
from cxrbatch.intake.headers import ScreeningFacts
from cxrbatch.intake.records import View

_PHRASES = re.compile(
    "|".join(
        (
            r"\bheat ?map|\bsaliency|\bgrad[- ]?cam",
            r"\bCAD (result|report|overlay|mark)|\bAI[- ](result|report|overlay|output|summary)",
            r"\b(result|report|overlay|output)s? (of|by|from) AI\b",
            r"\bbone[- ]suppress|\brib[- ]suppress|\bsoft[- ]tissue (only|image)",
            r"\bsegmentation (mask|result|overlay)",
            r"\bscreen ?(shot|save|capture)|\bdose (report|summary)\b",
        )
    ),
    re.IGNORECASE,
)
"""Texts that no technologist gives to a film."""

_PRODUCTS = re.compile(
    "|".join(
        (
            r"\bLunit\b|\bINSIGHT CXR|\bqXR\b|\bQure\.?ai|\bAnnalise|\bGleamer|\bChestView|\bBoneView",
            r"\bOxipit|\bChestLink|\bChestEye|\bMilvue|\bVUNO|\bRayscape|\bXVision|\bAI-Rad|\bClearRead",
            r"\bRiverain|\bInfervision|\bAZmed|\bRayvolve|\bbehold\.?ai|\bred ?dot\b|\bRadiobotics",
            r"\bAidoc|\bDeepTek|\bCAD4TB|\bDelft Imaging|\bcxrbatch",
        )
    ),
    re.IGNORECASE,
)
"""Products that read radiographs. Devices carry them too, so they count in secondary captures only."""

_IMAGE_TYPES = frozenset(
    {"BONE_SUPPRESSED", "CAD", "CAD RESULT", "HEAT MAP", "HEATMAP", "SALIENCY", "SCREEN SAVE"}
    | {"SCREENSAVE", "SCREENSHOT"}
)


def why_derived(facts: ScreeningFacts) -> str:
    """One sentence why an image is a result and not a film; blank if nothing says so."""
    if facts.modality in modalities.DOCUMENT:
        return f"Modality (0008,0060) is '{facts.modality}': a result, not a film."
    for where, text in facts.descriptions:
        if _PHRASES.search(text):
            return f"{where} is '{text}': a result, not the film itself."
    marks = _IMAGE_TYPES.intersection(facts.image_type[2:])
    if marks:
        return f"ImageType (0008,0008) says '{min(marks)}': not the film itself."
    if facts.sop_class in sop_classes.SECONDARY_CAPTURE:
        return _why_capture_is_derived(facts)
    if facts.modality in modalities.CAPTURE and facts.sop_class not in sop_classes.RADIOGRAPH:
        return f"Modality (0008,0060) is '{facts.modality}', and nothing says that it is a film."
    return ""


def _why_capture_is_derived(facts: ScreeningFacts) -> str:
    """A secondary capture is a film where its header says radiograph; archives do store films so."""
    for where, text in (*facts.makers, *facts.descriptions):
        if _PRODUCTS.search(text):
            return f"{where} is '{text}', and it is a secondary capture: a result, not the film itself."
    if facts.modality in modalities.RADIOGRAPHY:
        return ""
    is_chest = region_of(facts.body_part, facts.regions) is Region.CHEST
    is_digitised_film = facts.conversion_type == "DF"  # PS3.3, C.8.6.1.1.1
    if facts.modality in modalities.CAPTURE:
        if is_digitised_film and is_chest:
            return ""
    elif is_chest or is_digitised_film or facts.has_exposure or facts.view.view is not View.UNKNOWN:
        return ""
    said = f"is '{facts.modality}'" if facts.modality else "is blank"
    return (
        f"This is a secondary capture, Modality (0008,0060) {said}, and nothing in the header says that it"
        " is a radiograph."
    )
