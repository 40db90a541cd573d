from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from cxrbatch.bundles import folders
from cxrbatch.bundles.bundle import CARD_FILE, GOLDEN_FILE, Bundle, open_bundle, write_sums
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.promotion import RECORD_FILE, Evidence, PromotionRefusedError, promote, read_record


def make_bundle(folder: Path, version: str) -> Bundle:
    """Whole as far as hashes go; no network is loaded by anything here."""
    folder.mkdir(parents=True)
    weights = f"weights of {version}".encode()
    (folder / "w.keras").write_bytes(weights)
    (folder / GOLDEN_FILE).write_bytes(b"golden")
    card = {
        "name": "net",
        "version": version,
        "architecture": "keras",
        "findings": ["Mass"],
        "input": {"height": 32, "width": 32, "channels": 3, "scaling": "unit"},
        "weights": {"file": "w.keras", "sha256": hashlib.sha256(weights).hexdigest()},
        "thresholds": {"Mass": 0.5},
        "thresholds_method": "none",
        "intended_use": "a test",
        "limits": "none",
        "licence": "none",
    }
    (folder / CARD_FILE).write_text(json.dumps(card))
    write_sums(folder)
    return open_bundle(folder)


@pytest.fixture
def old(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundles" / "old", "1")


@pytest.fixture
def new(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundles" / "new", "2")


@pytest.fixture
def evidence(old: Bundle, new: Bundle) -> Evidence:
    return Evidence(
        "non_inferior", True, "Not worse.", 0.02, old.sha256[:12], new.sha256, "d" * 64, "/x/verdict.json"
    )


def test_a_promoted_bundle_is_current_and_on_record(old: Bundle, new: Bundle, evidence: Evidence) -> None:
    with pytest.raises(BundleError, match="No model is current"):
        open_bundle("current")
    promote(new, old, evidence)
    assert open_bundle("current").sha256 == new.sha256
    (line,) = read_record(folders.site_folder() / RECORD_FILE)
    assert line["promoted"] == {"name": "net", "version": "2", "sha256": new.sha256}
    assert line["against"]["sha256"] == old.sha256
    assert line["verdict"]["digest"] == "d" * 64
    assert line["override"] is None
    assert line["who"]
    assert line["when"].startswith("20")


def test_the_record_grows_and_chains(old: Bundle, new: Bundle, evidence: Evidence, tmp_path: Path) -> None:
    promote(new, old, evidence)
    before = (folders.site_folder() / RECORD_FILE).read_bytes()
    third = make_bundle(tmp_path / "bundles" / "third", "3")
    promote(third, new, None, override="the old one is broken")
    after = (folders.site_folder() / RECORD_FILE).read_bytes()
    assert after.startswith(before)
    lines = read_record(folders.site_folder() / RECORD_FILE)
    assert [line["promoted"]["version"] for line in lines] == ["2", "3"]
    assert lines[1]["override"] == "the old one is broken"
    assert lines[1]["verdict"] is None
    assert lines[1]["objection"].startswith("There is no verdict")
    assert lines[1]["previous_sha256"] == hashlib.sha256(before.splitlines()[0]).hexdigest()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"passed": False, "verdict": "inconclusive"}, "The verdict is inconclusive"),
        ({"sha256_a": "0" * 12}, "model A is 000000000000, not net 1"),
        ({"sha256_b": "0" * 64}, "model B is 000000000000, not net 2"),
        ({"sha256_a": None}, "does not say which bundle its scores A"),
        ({"sha256_b": ""}, "does not say which bundle its scores B"),
    ],
)
def test_without_a_passing_verdict_about_these_two_nothing_changes(
    old: Bundle, new: Bundle, evidence: Evidence, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(PromotionRefusedError, match=problem):
        promote(new, old, replace(evidence, **changes))
    assert folders.current() is None
    assert not (folders.site_folder() / RECORD_FILE).exists()


def test_a_short_prefix_of_a_hash_names_no_bundle(old: Bundle, new: Bundle, evidence: Evidence) -> None:
    with pytest.raises(PromotionRefusedError, match="model B"):
        promote(new, old, replace(evidence, sha256_b=new.sha256[:4]))


def test_the_verdict_cannot_be_used_the_other_way_round(old: Bundle, new: Bundle, evidence: Evidence) -> None:
    with pytest.raises(PromotionRefusedError, match="model A"):
        promote(old, new, evidence)


def test_no_verdict_is_refused_and_an_override_needs_a_reason(old: Bundle, new: Bundle) -> None:
    with pytest.raises(PromotionRefusedError, match="There is no verdict"):
        promote(new, old, None)
    with pytest.raises(PromotionRefusedError, match="needs a reason"):
        promote(new, old, None, override="  ")


def test_only_the_current_model_can_be_replaced(
    old: Bundle, new: Bundle, evidence: Evidence, tmp_path: Path
) -> None:
    promote(new, old, evidence)
    third = make_bundle(tmp_path / "bundles" / "third", "3")
    with pytest.raises(PromotionRefusedError, match="compare with the current model"):
        promote(third, old, replace(evidence, sha256_b=third.sha256))


def test_a_bundle_put_in_the_place_of_the_current_one_is_refused(
    old: Bundle, new: Bundle, evidence: Evidence, tmp_path: Path
) -> None:
    promote(new, old, evidence)
    new.folder.rename(tmp_path / "away")
    with pytest.raises(BundleError, match="is gone"):
        open_bundle("current")
    make_bundle(new.folder, "2b")
    with pytest.raises(BundleError, match="not the model that was promoted"):
        open_bundle("current")


@pytest.mark.parametrize(
    "edit", [lambda text: text.replace('"who"', '"Who"'), lambda text: text.split("\n", 1)[1]]
)
def test_a_changed_record_is_seen(old: Bundle, new: Bundle, evidence: Evidence, edit, tmp_path: Path) -> None:
    promote(new, old, evidence)
    third = make_bundle(tmp_path / "bundles" / "third", "3")
    promote(third, new, None, override="first")
    path = folders.site_folder() / RECORD_FILE
    path.write_text(edit(path.read_text()))
    with pytest.raises(BundleError, match="was changed"):
        promote(new, third, None, override="second")
    assert open_bundle("current").sha256 == third.sha256


def test_the_sites_own_folder_comes_first(
    old: Bundle, new: Bundle, evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRBATCH_MODELS", f"{tmp_path / 'site'}:{tmp_path / 'more'}")
    promote(new, old, evidence)
    assert (tmp_path / "site" / RECORD_FILE).is_file()
    assert (tmp_path / "site" / "current.json").is_file()


def test_a_broken_pointer_is_told(tmp_path: Path) -> None:
    folders.site_folder().mkdir(parents=True)
    (folders.site_folder() / "current.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle("current")
