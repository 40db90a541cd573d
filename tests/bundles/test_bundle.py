from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from cxrbatch.bundles.bundle import Bundle, list_bundles, open_bundle, read_card, write_sums
from cxrbatch.bundles.errors import BundleError


def test_opens_by_folder(tiny_bundle: Bundle) -> None:
    opened = open_bundle(tiny_bundle.folder)

    assert opened.card.findings == ("Effusion", "Mass", "Nodule")
    assert opened.weights_path.is_file()
    assert opened.golden_path.is_file()


def test_opens_the_shipped_default_bundle_by_name() -> None:
    bundle = open_bundle("cxr-lite")

    assert len(bundle.card.findings) == 14
    assert bundle.card.input.height == 320
    assert "device" in bundle.card.intended_use


def test_the_default_bundle_is_smaller_than_20_megabytes() -> None:
    folder = open_bundle("cxr-lite").folder

    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) < 20_000_000


def test_opens_by_name_from_the_folders_of_the_environment(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CXRBATCH_MODELS", os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "site")]))

    assert open_bundle("tiny").sha256 == tiny_bundle.sha256
    assert list_bundles()["tiny"] == tiny_bundle.folder


def test_an_unfinished_bundle_is_not_listed(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CXRBATCH_MODELS", str(tmp_path / "site"))
    tiny_bundle.folder.rename(tmp_path / "site" / ".tiny-abc")

    assert list(list_bundles()) == ["cxr-lite"]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BundleError, match=r"no model 'cxr-lit'.*cxr-lite"):
        open_bundle("cxr-lit")


def test_a_folder_without_a_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no card\.json"):
        open_bundle(tmp_path)


def test_the_hash_is_that_of_the_sums_file(tiny_bundle: Bundle) -> None:
    names = sorted(["card.json", "golden.npz", tiny_bundle.card.weights.file])
    lines = [f"{hashlib.sha256((tiny_bundle.folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]

    assert (tiny_bundle.folder / "SHA256SUMS").read_text() == "".join(lines)
    assert tiny_bundle.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("name", ["card.json", "golden.npz", "weights.keras"])
def test_one_flipped_bit_is_refused(tiny_bundle: Bundle, name: str) -> None:
    path = tiny_bundle.folder / name
    content = bytearray(path.read_bytes())
    # In the card: a digit of the version, so that it still parses.
    position = content.index(b'"version": "1"') + 12 if name == "card.json" else len(content) // 2
    old = hashlib.sha256(content).hexdigest()
    content[position] ^= 1
    path.write_bytes(content)

    with pytest.raises(BundleError) as caught:
        open_bundle(tiny_bundle.folder)

    message = str(caught.value)
    assert str(path) in message
    assert old in message
    assert hashlib.sha256(content).hexdigest() in message


def test_weights_are_verified_without_a_sums_file_too(tiny_bundle: Bundle) -> None:
    (tiny_bundle.folder / "SHA256SUMS").unlink()
    assert open_bundle(tiny_bundle.folder).sha256 == tiny_bundle.sha256
    with tiny_bundle.weights_path.open("ab") as stream:
        stream.write(b"x")

    with pytest.raises(BundleError, match=r"weights\.keras is not the file"):
        open_bundle(tiny_bundle.folder)


def test_a_meant_change_of_the_card_gives_another_hash(tiny_bundle: Bundle) -> None:
    path = tiny_bundle.folder / "card.json"
    card = json.loads(path.read_text())
    card["thresholds"]["Mass"] = 0.25
    path.write_text(json.dumps(card))
    write_sums(tiny_bundle.folder)

    changed = open_bundle(tiny_bundle.folder)

    assert changed.card.thresholds["Mass"] == 0.25
    assert changed.sha256 != tiny_bundle.sha256


@pytest.mark.parametrize("name", ["golden.npz", "weights.keras"])
def test_a_missing_file_is_named(tiny_bundle: Bundle, name: str) -> None:
    (tiny_bundle.folder / name).unlink()

    with pytest.raises(BundleError, match=f"no file {name}"):
        open_bundle(tiny_bundle.folder)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"thresholds": {"Mass": 0.5}}, "thresholds must name exactly the findings"),
        ({"weights": {"file": "../weights.keras", "sha256": "0" * 64}}, "weights.file"),
        ({"input": {"height": 0, "width": 32, "channels": 3, "scaling": "unit"}}, "input.height"),
        ({"colour": "blue"}, "colour"),
        ({"findings": ["Mass", "Path"]}, "path: a column of scores.csv is called so"),
    ],
)
def test_a_malformed_card_names_file_and_key(
    tiny_bundle: Bundle, change: dict[str, object], key: str
) -> None:
    path = tiny_bundle.folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(BundleError) as caught:
        read_card(tiny_bundle.folder)

    assert str(path) in str(caught.value)
    assert key in str(caught.value)
