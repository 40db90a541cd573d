"""What ``doctor`` says of the codecs."""

from __future__ import annotations

from pydicom.pixels import get_decoder
from pydicom.uid import JPEG2000, JPEGLSLossless

from cxrbatch.radiographs.codecs import COMPRESSED, codecs, missing_codecs


def test_a_full_installation_misses_nothing():
    assert missing_codecs() == []
    assert len(codecs()) == len(COMPRESSED) == 12
    assert set(codecs().values()) == {"pylibjpeg"}


def test_a_lost_plugin_is_named(monkeypatch):
    for uid in (JPEG2000, JPEGLSLossless):
        monkeypatch.setattr(get_decoder(uid), "_available", {})
    assert missing_codecs() == [JPEGLSLossless.name, JPEG2000.name]
