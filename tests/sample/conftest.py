from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from cxrbatch.sample.cohort import CohortSummary, write_cohort

STUDIES, SEED, SIZE = 9, 3, (240, 208)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> CohortSummary:
    """A small cohort with all extras: treat it as read-only."""
    return write_cohort(tmp_path_factory.mktemp("cohort") / "inbox", STUDIES, SEED, SIZE)


def read_dicom(path: Path) -> pydicom.FileDataset:
    """pydicom's own reading; a data set without preamble gets the transfer syntax it must have."""
    ds = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


@pytest.fixture(name="read_dicom")
def read_dicom_fixture():
    return read_dicom
