"""Every encoding of the same pixels renders to the same image; what cannot be decoded says why."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from cxrbatch.intake.reasons import Reason
from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.radiograph import RadiographError
from cxrbatch.radiographs.read import read_radiograph

NATIVE = [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
RNG = np.random.default_rng(11)
SAMPLES = {
    "8 bits": (RNG.integers(0, 256, (37, 41)).astype(np.uint8), {}),
    "12 bits": (RNG.integers(0, 4096, (37, 41)).astype(np.uint16), {}),
    "16 bits": (RNG.integers(0, 65536, (37, 41)).astype(np.uint16), {"BitsStored": 16}),
    "signed 12 bits": (RNG.integers(-2048, 2048, (37, 41)).astype(np.int16), {}),
    "signed 16 bits": (RNG.integers(-32768, 32768, (36, 40)).astype(np.int16), {"BitsStored": 16}),
    "RGB": (RNG.integers(0, 256, (37, 41, 3)).astype(np.uint8), {}),
    "RGB 16 bits": (RNG.integers(0, 65536, (40, 44, 3)).astype(np.uint16), {}),
}


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: uid.name)
@pytest.mark.parametrize("name", SAMPLES)
def test_native_encodings_agree(render, name, syntax):
    samples, elements = SAMPLES[name]
    expected = render(samples, **elements)
    np.testing.assert_array_equal(render(samples, transfer_syntax=syntax, **elements).pixels, expected.pixels)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name)
@pytest.mark.parametrize("name", SAMPLES)
def test_lossless_compression_agrees(make_dicom, render, name, syntax):
    samples, elements = SAMPLES[name]
    expected = render(samples, **elements).pixels
    ds = make_dicom(samples, **elements)
    plugin = {"encoding_plugin": "pylibjpeg"}
    if syntax == JPEG2000Lossless and samples.ndim == 3:
        ds.PhotometricInterpretation = "YBR_RCT"
    ds.compress(syntax, generate_instance_uid=False, **plugin)
    np.testing.assert_array_equal(render(ds).pixels, expected)


def test_big_endian_eight_bits_in_words(make_dicom, render):
    """Odd-sized 8-bit data written as OW: the bytes are swapped in pairs (PS3.5 A.3)."""
    values = RNG.integers(0, 256, (3, 5)).astype(np.uint8)
    ds = make_dicom(values, transfer_syntax=ExplicitVRBigEndian)
    ds.PixelData = np.frombuffer(values.tobytes() + b"\0", dtype="u2").byteswap().tobytes()
    ds["PixelData"].VR = "OW"
    np.testing.assert_array_equal(render(ds).pixels, values.astype(np.uint16) * 257)


def test_without_preamble_and_file_meta(make_dicom, encode, ramp):
    whole = encode(make_dicom(ramp, WindowCenter=1000, WindowWidth=900))
    expected = read_radiograph(whole, FileKind.DICOM)
    bare = whole[132:]
    np.testing.assert_array_equal(read_radiograph(bare, FileKind.DICOM).pixels, expected.pixels)
    ds = make_dicom(ramp, transfer_syntax=ImplicitVRLittleEndian, WindowCenter=1000, WindowWidth=900)
    buffer = io.BytesIO()
    del ds.file_meta
    ds.save_as(buffer, implicit_vr=True, little_endian=True)
    no_meta = read_radiograph(buffer.getvalue().removeprefix(b"\0" * 128 + b"DICM"), FileKind.DICOM)
    np.testing.assert_array_equal(no_meta.pixels, expected.pixels)


def test_several_fragments_are_one_frame(make_dicom, render, ramp):
    ds = make_dicom(ramp)
    ds.compress(RLELossless, generate_instance_uid=False)
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    expected = render(ds).pixels
    ds.PixelData = encapsulate([frame], fragments_per_frame=3)
    np.testing.assert_array_equal(render(ds).pixels, expected)


@pytest.mark.parametrize("planar", [0, 1])
def test_planar_configuration(render, planar):
    rgb = SAMPLES["RGB"][0]
    stored = rgb if planar == 0 else np.ascontiguousarray(rgb.transpose(2, 0, 1))
    result = render(rgb, PlanarConfiguration=planar, PixelData=stored.tobytes() + b"\0")
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(result.pixels, rgb @ weights * 257, atol=2)


def failure(render, *args, **elements) -> RadiographError:
    with pytest.raises(RadiographError) as caught:
        render(*args, **elements)
    assert "SECRET" not in caught.value.detail
    assert caught.value.detail.endswith(".") or "pylibjpeg" in caught.value.detail
    return caught.value


@pytest.mark.parametrize("missing", [2, 4000, 8190])
def test_truncated_native_data_says_how_much_is_missing(render, ramp, missing):
    error = failure(render, ramp, PixelData=ramp.tobytes()[:-missing])
    assert error.reason is Reason.DECODE_FAILED
    assert f"{missing:,} of 8,192 bytes" in error.detail


def test_a_file_cut_off_anywhere_is_never_a_picture(make_dicom, encode, ramp):
    whole = encode(make_dicom(ramp))
    for length in range(0, len(whole) - 1, 97):
        with pytest.raises(RadiographError):
            read_radiograph(whole[:length], FileKind.DICOM)


def test_a_compressed_file_cut_off_anywhere_is_never_a_picture(make_dicom, encode, ramp):
    ds = make_dicom(ramp)
    ds.compress(JPEG2000Lossless, generate_instance_uid=False, encoding_plugin="pylibjpeg")
    whole = encode(ds)
    for length in [*range(0, len(whole) - 8, 61), len(whole) - 9]:
        with pytest.raises(RadiographError) as caught:
            read_radiograph(whole[:length], FileKind.DICOM)
        assert caught.value.reason is not Reason.UNSUPPORTED_TRANSFER_SYNTAX


def test_no_pixel_data(render, ramp):
    assert failure(render, ramp, PixelData=None).reason is Reason.PIXEL_DATA_MISSING
    assert failure(render, ramp, PixelData=b"").reason is Reason.PIXEL_DATA_MISSING


@pytest.mark.parametrize("uid", [MPEG2MPML, UID("1.2.3.4.5")])
def test_a_transfer_syntax_without_decoder(make_dicom, render, ramp, uid):
    ds = make_dicom(ramp)
    ds.file_meta.TransferSyntaxUID = uid
    ds.PixelData = encapsulate([b"\0\0\1\xb3"])
    ds["PixelData"].is_undefined_length = True
    error = failure(render, ds)
    assert error.reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX
    assert str(uid) in error.detail


def test_float_pixels(render, ramp):
    ds_error = failure(
        render, ramp, PixelData=None, FloatPixelData=ramp.astype(np.float32).tobytes(), BitsAllocated=32
    )
    assert ds_error.reason is Reason.DECODE_FAILED


def test_junk_where_a_codestream_should_be(make_dicom, render, ramp):
    for syntax in (RLELossless, JPEG2000Lossless):
        ds = make_dicom(ramp)
        ds.compress(syntax, generate_instance_uid=False, encoding_plugin="pylibjpeg")
        ds.PixelData = encapsulate([bytes(1000)])
        assert failure(render, ds).reason is Reason.DECODE_FAILED


def test_explicit_little_endian_is_the_reference(render, ramp):
    result = render(ramp, transfer_syntax=ExplicitVRLittleEndian, WindowCenter=2048, WindowWidth=4096)
    np.testing.assert_allclose(result.pixels.ravel(), np.arange(4096) / 4095 * 65535, atol=0.51)
