"""What sets a machine apart is said, and nothing about patients with it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.ledger.atomic import TEMPORARY_MARK as LEDGERS_MARK
from cxrbatch.ledger.atomic import sweep_temporaries
from cxrbatch.scoring.engine import Surroundings

pytestmark = pytest.mark.ray


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    (tmp_path / "run").mkdir()
    (tmp_path / "DOE^JANE").mkdir()
    bundle = open_bundle("cxr-lite")
    return Surroundings(tmp_path / "run", (str(tmp_path / "DOE^JANE"),), bundle, "cxr-lite")


def test_this_machine_is_like_itself(around: Surroundings) -> None:
    from cxrbatch.scoring.on_ray.facts import Facts, differences, lay_probe, look_around, versions

    probe = pickle.loads(pickle.dumps(lay_probe(around)))  # noqa: S301
    theirs = look_around(probe)
    assert theirs.versions["cxrbatch"].startswith("0.")
    assert differences(Facts(versions(), around.bundle.sha256), theirs) == []
    assert sweep_temporaries(around.run) == 1  # the probe, and nothing else


def test_another_version_bundle_or_code_is_named(around: Surroundings) -> None:
    from cxrbatch.scoring.on_ray.facts import Facts, differences, versions

    ours = Facts(versions(), "a" * 64)
    other = dict(ours.versions) | {"tensorflow": "1.0", "openvino": "none"}
    said = differences(ours, Facts(other, "b" * 64))
    assert said == [
        f"has tensorflow 1.0 instead of {ours.versions['tensorflow']}",
        f"has openvino none instead of {ours.versions['openvino']}",
        "has another bundle under that name (SHA-256 bbbbbbbbbbbb instead of aaaaaaaaaaaa)",
    ]


def test_folders_that_are_not_shared_are_told_without_their_names(around: Surroundings) -> None:
    from cxrbatch.scoring.on_ray.facts import lay_probe, look_around

    probe = lay_probe(around)
    here = probe.file.read_text()
    probe.file.write_text("another run's word")  # as a node that has a folder of this name of its own
    assert "sees another folder" in " ".join(look_around(probe).troubles)
    probe.file.unlink()
    assert "cannot see the run folder" in " ".join(look_around(probe).troubles)
    probe.file.write_text(here)
    gone = replace(probe, inputs=(str(around.run), "/no/such/DOE^JANE"), model="no-such-model")
    (inputs, model) = look_around(gone).troubles
    assert inputs == "cannot read input 2 of 2"
    assert "no-such-model" in model
    assert "DOE" not in inputs


def test_the_probe_is_swept_like_any_temporary_file() -> None:
    from cxrbatch.scoring.on_ray.facts import TEMPORARY_MARK

    assert TEMPORARY_MARK == LEDGERS_MARK


def test_a_bundles_folder_travels_as_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxrbatch.scoring.on_ray.facts import portable_model

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "card.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert portable_model("mine") == str(tmp_path / "mine")
    assert portable_model("cxr-lite") == "cxr-lite"
