"""Small records for the ledger's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cxrbatch.intake.records import FileKind, ImageHeader, Patient, SourceFile, View
from cxrbatch.ledger.ledger import Ledger
from cxrbatch.ledger.records import ScoredImage


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db", create=True)
    yield ledger
    ledger.close()


@pytest.fixture
def source() -> Callable[..., SourceFile]:
    def make(path: str, size: int = 10, mtime_ns: int = 1, inode: int = 1) -> SourceFile:
        return SourceFile(path, size, mtime_ns, inode)

    return make


@pytest.fixture
def header() -> Callable[..., ImageHeader]:
    def make(image_uid: str = "1.2.3", study_uid: str = "1.2") -> ImageHeader:
        patient = Patient(id="PHANTOM-1", name="山田^太郎")
        return ImageHeader(FileKind.DICOM, 10, 12, study_uid, "", image_uid, view=View.PA, patient=patient)

    return make


@pytest.fixture
def scored(header: Callable[..., ImageHeader]) -> Callable[..., ScoredImage]:
    def make(path: str, study_key: str, probabilities: tuple[float, ...] = (0.25, 0.75)) -> ScoredImage:
        return ScoredImage(
            path=path,
            study_key=study_key,
            image_key="abc",
            header=header(),
            rows=10,
            columns=12,
            probabilities=probabilities,
            display_file=f"store/{study_key}/abc.jpg",
            maps_file=f"store/{study_key}/abc.npy",
            atypicality=0.75,
            notes=("A note.",),
            wrong=-3.5,
        )

    return make
