"""Which DICOM transfer syntaxes can be decoded in this installation."""

from __future__ import annotations

from pydicom.pixels import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

COMPRESSED: tuple[UID, ...] = (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    HTJ2K,
    RLELossless,
)
"""The compressed transfer syntaxes that cxrbatch promises; uncompressed and deflated ones need no codec."""


def codecs() -> dict[str, str]:
    """For each promised compressed transfer syntax, by name, the plugin that decodes it, or ''."""
    return {uid.name: _plugin(uid) for uid in COMPRESSED}


def missing_codecs() -> list[str]:
    """Names of the promised transfer syntaxes that nothing here decodes."""
    return [name for name, plugin in codecs().items() if not plugin]


def _plugin(uid: UID) -> str:
    plugins = get_decoder(uid).available_plugins
    return "pylibjpeg" if "pylibjpeg" in plugins else next(iter(plugins), "")
