"""Against DCMTK's dcm2pnm, which shares no code with pydicom: window, sigmoid, rescale, LUT, polarity."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

pytestmark = pytest.mark.skipif(
    shutil.which("dcm2pnm") is None, reason="dcm2pnm is not installed (Debian package dcmtk)"
)

LUT = Dataset()
LUT.LUTDescriptor = [4096, 0, 12]
LUT.add_new("LUTDescriptor", "US", [4096, 0, 12])
LUT.add_new("LUTData", "US", [int(v) for v in (np.arange(4096) ** 2) // 4096])

CASES = {
    "window": ({"WindowCenter": 1000.5, "WindowWidth": 700}, "+Wi"),
    "sigmoid": ({"WindowCenter": 2000, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"}, "+Wi"),
    "rescale": (
        {"RescaleSlope": 2, "RescaleIntercept": -500, "WindowCenter": 3000, "WindowWidth": 4000},
        "+Wi",
    ),
    "lut": ({"VOILUTSequence": [LUT]}, "+Wl"),
    "high bit": ({"HighBit": 15, "WindowCenter": 1000, "WindowWidth": 900}, "+Wi"),
    "inverse shape": (
        {"PresentationLUTShape": "INVERSE", "WindowCenter": 1000, "WindowWidth": 900},
        "+Wi",
    ),
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_dcmtk(make_dicom, encode, render, ramp, tmp_path, name, signed, photometric):
    elements, option = CASES[name]
    samples = ramp << 4 if "HighBit" in elements else ramp
    if signed:
        if name in ("lut", "high bit"):
            pytest.skip("the table and the shifted words are unsigned")
        samples = samples.astype(np.int16) - 2048
        elements = {**elements, "WindowCenter": elements["WindowCenter"] - 2048}
    ds = make_dicom(samples, PhotometricInterpretation=photometric, **elements)
    (tmp_path / "in.dcm").write_bytes(encode(ds))
    command = ["dcm2pnm", option, "1", "+on2", str(tmp_path / "in.dcm"), str(tmp_path / "out.png")]
    subprocess.run(command, check=True, capture_output=True)
    theirs = np.asarray(Image.open(tmp_path / "out.png")).astype(int)
    assert np.abs(render(ds).pixels.astype(int) - theirs).max() <= (16 if name == "lut" else 1)
