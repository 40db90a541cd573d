"""The whole grey path against pydicom's own functions: modality, then VOI, then one inversion by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from cxrbatch.intake.records import FileKind
from cxrbatch.radiographs.read import read_radiograph

RNG = np.random.default_rng(20240607)


def lut_item(first: int, bits: int, entries: np.ndarray) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "US", [int(e) for e in entries])
    return item


def by_pydicom(ds: FileDataset) -> np.ndarray:
    """0 .. 65535 as float: pydicom's VOI output over the range that it documents."""
    stored = ds.pixel_array
    values = apply_modality_lut(stored, ds)
    if "VOILUTSequence" in ds:
        bits = ds.VOILUTSequence[0].LUTDescriptor[2]
        unit = apply_voi_lut(values.astype(np.int64), ds) / (2**bits - 1)
    else:
        if "ModalityLUTSequence" in ds:
            low, high = 0.0, 2.0 ** ds.ModalityLUTSequence[0].LUTDescriptor[2] - 1
        else:
            low = -(2.0 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0.0
            high = low + 2**ds.BitsStored - 1
            slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
            low, high = low * slope + intercept, high * slope + intercept
        unit = (apply_voi_lut(values, ds) - low) / (high - low)
    unit = np.clip(unit, 0, 1)
    return 65535 * (1 - unit if ds.PhotometricInterpretation == "MONOCHROME1" else unit)


CASES = {
    "window": {"WindowCenter": 2048, "WindowWidth": 4096},
    "narrow window": {"WindowCenter": 1000.5, "WindowWidth": 350.5},
    "window outside the data": {"WindowCenter": -100, "WindowWidth": 900},
    "first of several windows": {"WindowCenter": [900, 3000], "WindowWidth": [800, 100]},
    "exact": {"WindowCenter": 1500, "WindowWidth": 777.7, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "SIGMOID"},
    "rescale and window": {
        "RescaleSlope": 2.5,
        "RescaleIntercept": -1024,
        "WindowCenter": 3000,
        "WindowWidth": 5000,
    },
    "negative slope": {
        "RescaleSlope": -1,
        "RescaleIntercept": 4095,
        "WindowCenter": 2000,
        "WindowWidth": 3000,
    },
    "modality LUT and window": {
        "ModalityLUTSequence": [lut_item(100, 16, np.sort(RNG.integers(0, 65536, 3000)))],
        "WindowCenter": 30000,
        "WindowWidth": 40000,
    },
    "VOI LUT": {"VOILUTSequence": [lut_item(0, 12, (np.arange(4096) ** 2) // 4096)]},
    "VOI LUT that starts late and is short": {
        "VOILUTSequence": [lut_item(1000, 10, np.arange(1024))],
    },
    "VOI LUT beats a window": {
        "VOILUTSequence": [lut_item(0, 12, np.repeat(np.arange(256), 16) * 16 + 15)],
        "WindowCenter": 5,
        "WindowWidth": 7,
    },
    "rescale into a VOI LUT": {
        "RescaleSlope": 2,
        "RescaleIntercept": -1000,
        "VOILUTSequence": [lut_item(-1000, 16, np.linspace(0, 65535, 8192).astype(int))],
    },
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_pydicom(make_dicom, render, ramp, name, photometric):
    ds = make_dicom(ramp, PhotometricInterpretation=photometric, **CASES[name])
    ours = render(ds)
    # Where a window ends within the ramp its lowest rows are of one value, as of a film that was cut off.
    blank = next((n for n, row in enumerate(by_pydicom(ds).round()[::-1]) if np.ptp(row)), 64)
    said = f"The lowest {100 * blank // 64} % of the picture are blank: part of the film may be missing."
    assert ours.notes == ((said,) if 0.3 * 64 <= blank < 64 else ())
    np.testing.assert_allclose(ours.pixels, by_pydicom(ds), atol=0.51)


@pytest.mark.parametrize("bits", range(8, 17))
def test_signed_data_agree_with_pydicom(make_dicom, render, bits):
    low = -(1 << (bits - 1))
    values = RNG.integers(low, -low, (40, 50)).astype(np.int16)
    window = {"WindowCenter": 0.0, "WindowWidth": float(1 << (bits - 1))}
    ds = make_dicom(values, BitsStored=bits, **window)
    np.testing.assert_allclose(render(ds).pixels, by_pydicom(ds), atol=0.51)


@pytest.mark.parametrize("name", CASES)
def test_monochrome1_is_the_exact_complement(render, ramp, name):
    plain = render(ramp, **CASES[name]).pixels
    inverted = render(ramp, PhotometricInterpretation="MONOCHROME1", **CASES[name]).pixels
    np.testing.assert_array_equal(inverted, 65535 - plain)


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_inverts_exactly_once(render, ramp, photometric, shape, inverted):
    elements = {} if shape is None else {"PresentationLUTShape": shape}
    result = render(ramp, PhotometricInterpretation=photometric, **elements)
    expected = (0, 65535) if not inverted else (65535, 0)
    assert (result.pixels.flat[0], result.pixels.flat[-1]) == expected
    contradictory = shape is not None and (photometric == "MONOCHROME1") != (shape == "INVERSE")
    assert any("contradicts" in note for note in result.notes) == contradictory


def test_eight_bits_without_a_window_are_taken_as_they_are(render):
    values = RNG.integers(50, 180, (30, 31)).astype(np.uint8)
    np.testing.assert_array_equal(render(values).pixels, values.astype(np.uint16) * 257)


def test_eight_signed_bits_take_the_full_range_of_the_bits(render):
    values = np.arange(-128, 128, dtype=np.int8).reshape(16, 16)
    np.testing.assert_array_equal(render(values).pixels.ravel(), np.arange(256) * 257)


def test_an_eight_bit_identity_window_changes_nothing(render):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    windowed = render(values, WindowCenter=128, WindowWidth=256).pixels
    np.testing.assert_array_equal(windowed, values.astype(np.uint16) * 257)


@pytest.mark.parametrize("slope", [1.0, 0.001, 37.5])
def test_more_bits_without_a_window_span_the_images_own_range(render, slope):
    values = RNG.integers(300, 2000, (60, 60)).astype(np.uint16)
    values[0, 0], values[0, 1] = 300, 1999
    result = render(values, RescaleSlope=slope, RescaleIntercept=-5)
    expected = (values.astype(float) - 300) / 1699 * 65535
    np.testing.assert_allclose(result.pixels, expected, atol=0.51)


def test_negative_slope_without_a_window_turns_the_picture_round(render, ramp):
    plain = render(ramp).pixels
    turned = render(ramp, RescaleSlope=-1, RescaleIntercept=4095).pixels
    np.testing.assert_array_equal(turned, 65535 - plain)


BROKEN = {
    "slope zero": {"RescaleSlope": 0, "RescaleIntercept": 0, "WindowCenter": 9, "WindowWidth": 9},
    "slope without intercept": {"RescaleSlope": 3, "WindowCenter": 9, "WindowWidth": 9},
    "window width zero": {"WindowCenter": 2048, "WindowWidth": 0},
    "window width below one": {"WindowCenter": 2048, "WindowWidth": 0.5},
    "negative window width": {"WindowCenter": 2048, "WindowWidth": -100},
    "negative exact width": {"WindowCenter": 1, "WindowWidth": -1, "VOILUTFunction": "LINEAR_EXACT"},
    "unknown function": {"WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "BANANA"},
    "no width": {"WindowCenter": 2048},
    "window beyond the data": {"WindowCenter": 1e6, "WindowWidth": 10},
    "window below the data": {"WindowCenter": -5000, "WindowWidth": 10},
    "absurd width": {"WindowCenter": 0, "WindowWidth": 1e15},
    "huge width": {"WindowCenter": 0, "WindowWidth": 1e9},
    "VOI LUT shorter than it says": {"VOILUTSequence": [Dataset()]},
}
BROKEN["VOI LUT shorter than it says"]["VOILUTSequence"] = [lut_item(0, 12, np.arange(10))]
BROKEN["VOI LUT shorter than it says"]["VOILUTSequence"][0].LUTDescriptor = [4096, 0, 12]
for _what, _descriptor in {
    "bits 0": [4096, 0, 0],
    "bits 17": [4096, 0, 17],
    "two values": [4096, 0],
    "entries too great": [4096, 0, 8],
}.items():
    _item = lut_item(0, 12, np.arange(4096))
    _item.LUTDescriptor = _descriptor
    BROKEN[f"VOI LUT: {_what}"] = {"VOILUTSequence": [_item]}
    BROKEN[f"modality LUT: {_what}"] = {
        "ModalityLUTSequence": [_item],
        "WindowCenter": 9,
        "WindowWidth": 9,
    }
BROKEN["VOI LUT without data"] = {"VOILUTSequence": [Dataset()]}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_values_fall_back_to_the_full_range_with_a_note(render, ramp, name):
    result = render(ramp, **BROKEN[name])
    assert len(result.notes) == 1
    assert result.notes[0].endswith(".")
    np.testing.assert_array_equal(result.pixels, render(ramp).pixels)


@pytest.mark.parametrize("text", [b"", b"abc ", b"NaN ", b"inf ", b"1e999 ", b"0,5 ", b"\xff\xfe", b"1\\x "])
@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"])
def test_text_where_a_number_should_be(make_dicom, encode, ramp, keyword, text):
    good = {"RescaleSlope": 1, "RescaleIntercept": 0, "WindowCenter": 2048, "WindowWidth": 4096}
    good[keyword] = 12345678
    ds = make_dicom(ramp, **good)
    whole = encode(ds)
    text = text + b" " * (len(text) % 2)
    element = ds[keyword].tag
    head = element.group.to_bytes(2, "little") + element.element.to_bytes(2, "little") + b"DS"
    at = whole.index(head)
    broken = (
        whole[:at]
        + head
        + len(text).to_bytes(2, "little")
        + text
        + whole[at + 8 + int.from_bytes(whole[at + 6 : at + 8], "little") :]
    )
    result = read_radiograph(broken, FileKind.DICOM)
    if text.startswith(b"1\\"):  # the first of two values counts, and is a number
        assert result.pixels.shape == ramp.shape
    else:
        assert len(result.notes) == 1
        assert keyword in result.notes[0]


@pytest.mark.parametrize("bits", [5, 8])
def test_an_eight_bit_lut_of_many_entries(render, ramp, bits):
    """By hand: pydicom indexes such a table with 8 bits."""
    entries = np.arange(4096) >> (12 - bits)
    result = render(ramp, VOILUTSequence=[lut_item(0, bits, entries)])
    np.testing.assert_allclose(result.pixels.ravel(), entries / ((1 << bits) - 1) * 65535, atol=0.51)


def test_eight_bit_entries_packed_two_in_a_word(render, ramp):
    """PS3.3 C.11.1.1.1 and C.11.2.1.1 allow it where a table's entries have 8 bits."""
    entries = (np.arange(4096) >> 4).astype(np.uint8)
    item = lut_item(0, 8, entries)
    item.add_new("LUTData", "OW", entries.tobytes())
    packed = render(ramp, VOILUTSequence=[item])
    np.testing.assert_array_equal(packed.pixels.ravel(), entries.astype(np.uint16) * 257)


def test_a_lut_that_begins_below_zero_but_is_written_unsigned(render, ramp):
    """By the writing the first input is 64536; only as -1000 does any value of the image meet it."""
    item = lut_item(0, 12, np.arange(4096))
    item.add_new("LUTDescriptor", "US", [4096, 64536, 12])
    rescale = {"RescaleSlope": 1, "RescaleIntercept": -1000}
    result = render(ramp, VOILUTSequence=[item], **rescale)
    np.testing.assert_array_equal(result.pixels, render(ramp).pixels)


def test_a_broken_voi_lut_leaves_the_window_in_force(render, ramp):
    window = {"WindowCenter": 1000, "WindowWidth": 500}
    result, windowed = render(ramp, VOILUTSequence=[Dataset()], **window), render(ramp, **window)
    np.testing.assert_array_equal(result.pixels, windowed.pixels)
    assert len(windowed.notes) == 1  # its window blanks the lowest rows
    assert len(result.notes) == 2
    assert set(windowed.notes) < set(result.notes)


def test_a_voi_lut_that_overstates_its_bits_is_scaled_by_those_it_uses(render, ramp):
    result = render(ramp, VOILUTSequence=[lut_item(0, 16, np.arange(4096))])
    np.testing.assert_array_equal(result.pixels, render(ramp).pixels)
    assert "uses 12" in result.notes[0]


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_uniform_image_is_no_crash(render, bits):
    values = np.full((20, 20), 77, dtype=np.uint16)
    assert len(np.unique(render(values, BitsStored=bits).pixels)) == 1


def test_empty_sequences_count_as_absent(render, ramp):
    result = render(ramp, VOILUTSequence=[], ModalityLUTSequence=[])
    np.testing.assert_array_equal(result.pixels, render(ramp).pixels)
    assert result.notes == ()
