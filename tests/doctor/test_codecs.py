from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cxrbatch.doctor.checks import codecs
from cxrbatch.doctor.codec_samples import CODEC_SAMPLES, CodecSample, picture
from cxrbatch.doctor.outcome import Level, Subject

BY_NAME = {sample.name: sample for sample in CODEC_SAMPLES}


def test_all_families_decode_here() -> None:
    outcome = codecs.check(Subject())
    assert outcome.level is Level.OK, outcome.message


@pytest.mark.parametrize(("name", "scale"), [("JPEG baseline", 1), ("JPEG 2000", 16)])
def test_samples_show_the_picture_in_another_decoder_too(name: str, scale: int) -> None:
    """Pillow, which spreads 12 bits over 16."""
    sample = BY_NAME[name]
    shown = np.asarray(Image.open(io.BytesIO(sample.frame)), dtype=int)
    assert np.array_equal(shown, picture(sample.bits) * scale)


@pytest.mark.parametrize("sample", CODEC_SAMPLES, ids=lambda sample: sample.name)
def test_a_damaged_frame_is_a_fault(sample: CodecSample) -> None:
    damaged = replace(sample, base64=sample.base64[: len(sample.base64) // 8 * 4])
    assert codecs.decoding_fault(damaged)


def test_a_wrong_picture_is_a_fault() -> None:
    eight = BY_NAME["JPEG baseline"]
    sv1 = replace(BY_NAME["JPEG lossless SV1"], bits=8, base64=eight.base64)
    assert codecs.decoding_fault(replace(sv1, transfer_syntax=eight.transfer_syntax)) == ""
    turned = io.BytesIO()
    Image.fromarray(picture(8).T.astype(np.uint8)).save(turned, "JPEG", quality=100)
    fault = codecs.decoding_fault(_with_frame(eight, turned.getvalue()))
    assert fault == "decodes to wrong grey values"


def _with_frame(sample: CodecSample, frame: bytes) -> CodecSample:
    import base64

    return replace(sample, base64=base64.b64encode(frame).decode())
