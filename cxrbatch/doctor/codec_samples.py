"""One small picture in every family of compression, to see whether this installation decodes it.

Made with dcmtk (JPEG, JPEG-LS), OpenJPEG (JPEG 2000), OpenJPH (HTJ2K) and pydicom (RLE) from `picture`; all
of them, the lossy two included, decode to it exactly.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CodecSample:
    """A frame of 32 x 32 pixels of `bits` bits: its transfer syntax (DICOM PS3.5 section 10), in base64."""

    name: str
    transfer_syntax: str
    bits: int
    base64: str

    @property
    def frame(self) -> bytes:
        return base64.b64decode(self.base64)


def picture(bits: int) -> NDArray[np.uint16]:
    """What every sample of that many bits shows: a staircase of grey values, (32, 32)."""
    row, column = np.mgrid[:32, :32]
    if bits == 8:
        return (row // 8 * 50 + column // 8 * 8).astype(np.uint16)
    return (row // 4 * 400 + column // 4 * 50).astype(np.uint16)


CODEC_SAMPLES = (
    CodecSample(
        "JPEG baseline",
        "1.2.840.10008.1.2.4.50",
        8,
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
        "AQEBAQEBAQEBAQEBAQEBAQH/wAALCAAgACABAREA/8QAFgABAQEAAAAAAAAAAAAAAAAABwgL/8QAFBABAAAAAAAAAAAAAAAA"
        "AAAAAP/aAAgBAQAAPwDP/IBAIC0CAQCAtAgEAgLQIBAID//Z",
    ),
    CodecSample(
        "JPEG extended",
        "1.2.840.10008.1.2.4.51",
        12,
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
        "AQEBAQEBAQEBAQEBAQEBAQH/wQALDAAgACABAREA/8QAFgABAQEAAAAAAAAAAAAAAAAACgwO/8QAHBAAAAYDAAAAAAAAAAAA"
        "AAAAAAgLKTdJVml2/9oACAEBAAA/AMODlKSVZAf9xSqvpNkAZAUpJVkB/wBxSqvpNkAZAUpJVkB/3FKq+k2QBkBSklWQH/cU"
        "qr6TZAL6ApSSrID/ALilVfSbIAyApSSrID/uKVV9JsgDIClJKsgP+4pVX0myAMgKUkqyA/7ilVfSbIBfQFKSVZAf9xSqvpNk"
        "AZAUpJVkB/3FKq+k2QBkBSklWQH/AHFKq+k2QBkBSklWQH/cUqr6TZAL6ApSSrID/uKVV9JsgDIClJKsgP8AuKVV9JsgDICl"
        "JKsgP+4pVX0myAMgKUkqyA/7ilVfSbIB/9k=",
    ),
    CodecSample(
        "JPEG lossless",
        "1.2.840.10008.1.2.4.57",
        12,
        "/9j/4AAQSkZJRgABAQAAAQABAAD/wwALEAAgACABAREA/8QAGAABAQEBAQAAAAAAAAAAAAAAAAgGCRD/2gAIAQEABgAA8NkN"
        "kNkNkNkNkNkAAAAAAAAAAAAAAAAOyFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFkAAAAAAAAAAAAAAA"
        "AdkLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIAAAAAAAAAAAAAAAA7IWRZFkWRZFkWRZFkWRZFkWRZ"
        "FkWRZFkWRZFkWRZFkWRZFkWRZFkWQAAAAAAAAAAAAAAAB2QsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyL"
        "IsgAAAAAAAAAAAAAAADshZFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZAAAAAAAAAAAAAAAAHZCyLIsi"
        "yLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyLIsiyAAAAAAAAAAAAAAAAOyFkWRZFkWRZFkWRZFkWRZFkWRZFkWRZFk"
        "WRZFkWRZFkWRZFkWRZFkAAAAAAAAAAAAAAAAf//Z",
    ),
    CodecSample(
        "JPEG lossless SV1",
        "1.2.840.10008.1.2.4.70",
        12,
        "/9j/4AAQSkZJRgABAQAAAQABAAD/wwALEAAgACABAREA/8QAFwABAQEBAAAAAAAAAAAAAAAAAAYJEP/aAAgBAQABAADhZCyF"
        "kLIWQshZALIWQshZCyFkLIBZCyFkLIWQshZALIWQshZCyFkLIbICyFkLIWQshZCyAWQshZCyFkLIWQCyFkLIWQshZCyAWQsh"
        "ZCyFkLIWQ2QFkLIWQshZCyFkAshZCyFkLIWQsgFkLIWQshZCyFkAshZCyFkLIWQshsgLIWQshZCyFkLIBZCyFkLIWQshZALI"
        "WQshZCyFkLIBZCyFkLIWQshZDZAWQshZCyFkLIWQCyFkLIWQshZCyAWQshZCyFkLIWQCyFkLIWQshZCyGyAshZCyFkLIWQsg"
        "FkLIWQshZCyFkAshZCyFkLIWQsgFkLIWQshZCyFkNkBZCyFkLIWQshZALIWQshZCyFkLIBZCyFkLIWQshZALIWQshZCyFkLI"
        "bICyFkLIWQshZCyAWQshZCyFkLIWQCyFkLIWQshZCyAWQshZCyFkLIWQ/9k=",
    ),
    CodecSample(
        "JPEG-LS",
        "1.2.840.10008.1.2.4.80",
        12,
        "/9j/9wALEAAgACABAREA//gADQH//wASAEMBFABA/9oACAEBAAAAAPIxwAgCALHACAIAscCgUCsMJCQm/DQ0NuwAgCALHAoF"
        "AtgBYAsAWAWAWAWAeQFgLAWAsBYCwHUBMCYEwJgTAmBjj8CgoARkgICAIxQEBAEwQEBAJegIEArkCBAK1AgQCsQIECAEwJgT"
        "AmBMCYEwOIDgTAmCYJgmDiBwTBMEwTBMGGPwIEBVoECAqkCBAVKBAgKhAggM6CCAzIIIDKggggCYJgmCYJgmCYOIHBMEwTBM"
        "EwcQOCYJgmCYJgwx+CCAyIIIGNBBAxIIIGFBBAwIIIF9BBAvIIIIAmEwmEwmEwmHEHCYTCYTCYcQcJhMJhMJhhj8EEC6gggX"
        "EEEC2ghAtIQgWUIQLCEIFdCEIBMJhMJhMJhMOIOEwmExMTHEOJiYmJiYwx+EIFZCECqhCBUQhBUQhBTQhBmhCDJCEIBMTExM"
        "TExMcQ4mJiYmJjiHExMTExMYY/CEGSEIMUIgxREGCIgwREF6IgvREQCYmTJkyZM4jkyZMmTOI5MmTJkzDH4iC9EQXIiC5EQX"
        "IiC1EQWoiC1ERAJkyZMmTJnEcmTJk03E6aaaabD//9k=",
    ),
    CodecSample(
        "JPEG 2000",
        "1.2.840.10008.1.2.4.90",
        12,
        "/0//UQApAAAAAAAgAAAAIAAAAAAAAAAAAAAAIAAAACAAAAAAAAAAAAABCwEB/1IADAAAAAEABQQEAAH/XAATQGBoaHBoaHBo"
        "aHBoaHBoaHD/ZAAlAAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41LjL/kAAKAAAAAAC/AAH/k8/kCAcZwPwAo/kC"
        "AAAXACPAfaCw/YHADPb3mt8LN/3SzxS/wD6gaD8wkCIYd8RyNQN+YYsGHV0m68AfOXgfgRgRUFItZ6Q3Z2A23EKARUbAAwha"
        "S4nQvxFQVAVaChdDozqm2xgtQKRnoMPDmZjKUhLirtVwi7dmZm0/wB85WB+A2BcpjKBY2DCqxPWNGuAAAAAMJCX/fwwiZfgo"
        "y9f+8W+2rwAAAAAwkJe8yAAGEhL/f//Z",
    ),
    CodecSample(
        "HTJ2K",
        "1.2.840.10008.1.2.4.201",
        12,
        "/0//UQApQAAAAAAgAAAAIAAAAAAAAAAAAAAAIAAAACAAAAAAAAAAAAABCwEB/1AACAACAAAACP9SAAwAAgABAAUEBEAB/1wA"
        "EyBweHiAeHiAeHiAeHh4cHB4/2QAFgABT3BlbkpQSCBWZXIgMC45LjAu/5AACgAAAAACRgAB/5PAATA3+QMHdADAAJYABMDC"
        "AYd0ABz+Awd0AMAAqIABUoOBWPwAgrQAJZhcApMBRrQAwACsgAFeDQ5XGP5NO/CKW3cAcYyRc86cOQIQD2WSajgAwAC7yAAX"
        "qwD3jmOMMcYYY4xK3TuOMcYYY4wxKnXvOMYYY4wxxqjUveMYY4wxxhijUgBo6/WX0dfrL6Ov1lyRRiQxswHBj4M/Bj8GPwY/"
        "Bj8GPwY/Pj5+/Pj4+Pj4+Pj4+Pj4+Pj4+PHj4+Pj4+Pj4+Pj4+Pjo5hHsUexR7FHsUexR7FHsQB3Xd2f16/WX9ev1lwhAMYI"
        "QDG1AcABfRkABfXAMcYYY4wxxhhjjHEcx3Ecx3EcxzHGcRzHcRzHcRzHGMdxHMdxHMdxHGMcx3Ecx3Ecx3GMcRzHcRzHcRzH"
        "McZxHMdxHMdxHMcYx3Ecx3Ecx3H8ABGdlnZZ2U8Z2WdlnZTxnZZ2WdlPGdlnZZ2U8Z2WdlnZTxnZZ2WdlPGdlnZZ2U4AA5IH"
        "DkgcOSByewOPHx8fHx8fHx8fHx8fHx8fHz9+/Pjx48ePHz9+/Pjx48ePHz9+/Pjx48ePHz9+/Pjx48ePHz9+/Pjx48ePHz9+"
        "/Pjx48ePHz9+/Pjx48ePHz9+/Pjx48ePHz9+/Pjx48ePHz9+/Pjx48ePHz9+/Pjx48ePHz9+/Pjx48ePAAAOmnpp6aem3pp6"
        "aemnpt6aemnpp6bemnpp6aem3pp6aemnpt6aemnpp6bQhAppCECmkIQKaQhAp1wD/9k=",
    ),
    CodecSample(
        "RLE",
        "1.2.840.10008.1.2.5",
        12,
        "AgAAAEAAAADYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAOkA+QHpAPkB"
        "6QD5AekA+QH1Ae0C9QHtAvUB7QL1Ae0C7QP1BO0D9QTtA/UE7QP1BPkE7QX9BvkE7QX9BvkE7QX9BvkE7QX9BvEG8QfxBvEH"
        "8QbxB/EG8Qf9B+kI/Qn9B+kI/Qn9B+kI/Qn9B+kI/QnxCfEK8QnxCvEJ8QrxCfEK/QrtC/kM/QrtC/kM/QrtC/kM/QrtC/kM"
        "/QD9Mv1k/Zb9yP36/Sz9Xv0A/TL9ZP2W/cj9+v0s/V79AP0y/WT9lv3I/fr9LP1e/QD9Mv1k/Zb9yP36/Sz9Xv2Q/cL99P0m"
        "/Vj9iv28/e79kP3C/fT9Jv1Y/Yr9vP3u/ZD9wv30/Sb9WP2K/bz97v2Q/cL99P0m/Vj9iv28/e79IP1S/YT9tv3o/Rr9TP1+"
        "/SD9Uv2E/bb96P0a/Uz9fv0g/VL9hP22/ej9Gv1M/X79IP1S/YT9tv3o/Rr9TP1+/bD94v0U/Ub9eP2q/dz9Dv2w/eL9FP1G"
        "/Xj9qv3c/Q79sP3i/RT9Rv14/ar93P0O/bD94v0U/Ub9eP2q/dz9Dv1A/XL9pP3W/Qj9Ov1s/Z79QP1y/aT91v0I/Tr9bP2e"
        "/UD9cv2k/db9CP06/Wz9nv1A/XL9pP3W/Qj9Ov1s/Z790P0C/TT9Zv2Y/cr9/P0u/dD9Av00/Wb9mP3K/fz9Lv3Q/QL9NP1m"
        "/Zj9yv38/S790P0C/TT9Zv2Y/cr9/P0u/WD9kv3E/fb9KP1a/Yz9vv1g/ZL9xP32/Sj9Wv2M/b79YP2S/cT99v0o/Vr9jP2+"
        "/WD9kv3E/fb9KP1a/Yz9vv3w/SL9VP2G/bj96v0c/U798P0i/VT9hv24/er9HP1O/fD9Iv1U/Yb9uP3q/Rz9Tv3w/SL9VP2G"
        "/bj96v0c/U4=",
    ),
)
