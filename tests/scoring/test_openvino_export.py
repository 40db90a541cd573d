"""The cache of exported models: found again, rebuilt when damaged, safe for several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.film_check import Tap
from cxrbatch.scoring import openvino_export
from cxrbatch.scoring.openvino_export import cache_key, exported_model
from cxrbatch.scoring.predictor import load_predictor


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one name at every export."""
    done: list[str] = []
    original = openvino_export.export

    def counted(bundle: Bundle, tap: Tap | None) -> tuple[bytes, bytes]:
        done.append(bundle.card.name)
        return original(bundle, tap)

    monkeypatch.setattr(openvino_export, "export", counted)
    return done


def _entry(bundle: Bundle) -> Path:
    return bundle.folder / ".openvino" / cache_key(bundle)


def test_the_first_load_exports_and_the_second_does_not(own_bundle: Bundle, exports: list[str]) -> None:
    first = exported_model(own_bundle)
    second = exported_model(own_bundle)

    assert exports == ["own"]
    assert first == second
    assert sorted(p.name for p in _entry(own_bundle).iterdir()) == ["SHA256SUMS", "model.bin", "model.xml"]
    assert [p.name for p in _entry(own_bundle).parent.iterdir()] == [cache_key(own_bundle)]


@pytest.mark.parametrize("damage", ["model.bin", "model.xml", "SHA256SUMS", "missing"])
def test_a_damaged_entry_is_made_again(own_bundle: Bundle, exports: list[str], damage: str) -> None:
    good = exported_model(own_bundle)
    if damage == "missing":
        (_entry(own_bundle) / "model.bin").unlink()
    else:
        path = _entry(own_bundle) / damage
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    again = exported_model(own_bundle)

    assert exports == ["own", "own"]
    assert len(again[1]) == len(good[1])
    exported_model(own_bundle)
    assert exports == ["own", "own"]


def test_a_bundle_that_cannot_be_written_is_cached_in_the_users_folder(
    own_bundle: Bundle, exports: list[str], tmp_path: Path
) -> None:
    (own_bundle.folder / ".openvino").write_text("in the way: no folder can be made here")

    exported_model(own_bundle)
    exported_model(own_bundle)

    assert exports == ["own"]
    assert (tmp_path / "cache" / "cxrbatch" / "openvino" / cache_key(own_bundle) / "model.bin").is_file()


def test_with_nowhere_to_cache_it_still_scores(
    own_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (own_bundle.folder / ".openvino").write_text("in the way")
    (tmp_path / "cache").write_text("in the way")

    load_predictor(own_bundle, "openvino")

    assert "could not be cached" in caplog.text


def test_processes_that_export_at_once_leave_one_whole_entry(own_bundle: Bundle, exports: list[str]) -> None:
    code = (
        "import sys; from cxrbatch.bundles.bundle import open_bundle; "
        "from cxrbatch.scoring.predictor import load_predictor; "
        "load_predictor(open_bundle(sys.argv[1]), 'openvino')"
    )
    command = [sys.executable, "-c", code, str(own_bundle.folder)]

    running = [subprocess.Popen(command) for _ in range(2)]

    assert [process.wait(timeout=120) for process in running] == [0, 0]
    exported_model(own_bundle)
    assert exports == []
    assert [p.name for p in _entry(own_bundle).parent.iterdir()] == [cache_key(own_bundle)]


def test_the_key_changes_with_the_bundle_and_the_versions(
    own_bundle: Bundle, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = cache_key(own_bundle)
    assert key != cache_key(tiny_bundle)

    monkeypatch.setattr(openvino_export, "version", lambda package: "0.0")

    assert key != cache_key(own_bundle)
