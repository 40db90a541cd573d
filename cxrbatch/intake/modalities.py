"""Modalities (0008,0060) by what they mean for scoring (PS3.3, C.7.3.1.1.1)."""

from __future__ import annotations

_OTHER = """
    AR AS AU BDUS BI BMD CD CF CP CS CT DD DF DG DM DS EC ECG EEG EM EMG EOG EPS ES FA FID FS GM HD IO IOL
    IVOCT IVUS KER LEN LP LS MA MG MR MS NM OAM OCT OP OPM OPR OPT OPTBSV OPTENF OPV OSS PA POS PT PX REG
    RESP RF RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT SM SMR SRF ST TG US VA VF XA XC
"""

RADIOGRAPHY = frozenset({"CR", "DX", "RG", "DR", "XR"})
"""CR, DX and RG are the standard's; DR and XR are seen in the field."""
CAPTURE = frozenset({"OT", "SC", "HC"})
"""Other, secondary capture, hard copy: they say nothing of what the picture shows."""
DOCUMENT = frozenset({"ANN", "CAD", "DOC", "KO", "PLAN", "PR", "SEG", "SR", "STAIN", "TEXTUREMAP"})
"""Reports, marks and plans, even where they are stored as pictures."""
OTHER = frozenset(_OTHER.split())
"""What is certainly no plain radiograph: mammography, panoramic and fluoroscopy among them."""
