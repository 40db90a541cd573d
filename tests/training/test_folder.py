from __future__ import annotations

import json

import pytest

from cxrbatch.ledger.lease import FolderHeldError
from cxrbatch.ledger.run_json import RunJsonError, write_run_json
from cxrbatch.training.folder import open_folder
from cxrbatch.training.records import TrainingError

SETTINGS = {"batch_size": 8, "plan": {"epochs": 3, "mode": "subset"}, "findings": ["Mass"]}


@pytest.fixture
def begun(tmp_path):
    out = tmp_path / "train"
    with open_folder(out) as folder:
        assert folder.is_new
        folder.write({"state": "running", "settings": SETTINGS})
    return out


def test_the_same_settings_go_on(begun):
    with open_folder(begun) as folder:
        folder.settle("settings", SETTINGS | {"findings": ("Mass",)})
        assert (folder.is_new, folder.is_finished) == (False, False)


def test_each_difference_is_named(begun):
    wanted = SETTINGS | {"batch_size": 16, "plan": {"epochs": 4, "mode": "subset"}, "seed": 1}
    with open_folder(begun) as folder, pytest.raises(TrainingError) as refused:
        folder.settle("settings", wanted)
    text = str(refused.value)
    assert "batch_size was 8 and is now 16" in text
    assert "plan.epochs was 3 and is now 4" in text
    assert "seed was None and is now 1" in text
    assert "mode" not in text
    assert "--fresh" in text


def test_a_second_run_is_refused_while_the_first_one_works(begun):
    with open_folder(begun), pytest.raises(FolderHeldError), open_folder(begun):
        pass
    with open_folder(begun) as folder:
        assert not folder.is_new


def test_fresh_removes_everything_but_decoded_films(begun):
    (begun / "cache").mkdir()
    (begun / "cache" / "film").write_text("x")
    (begun / "checkpoints").mkdir()
    (begun / "checkpoints" / "best.weights.h5").write_text("x")
    with open_folder(begun, fresh=True) as folder:
        assert folder.is_new
        assert sorted(p.name for p in begun.iterdir()) == ["cache", "lease.json"]
    with open_folder(begun) as folder:  # what a kill right after that leaves is no stranger's
        assert folder.is_new


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_something_else_is_left_alone(tmp_path, fresh):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(TrainingError, match=r"thesis\.txt"), open_folder(tmp_path, fresh=fresh):
        pass
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_nights_run_folder_is_left_alone(tmp_path, fresh):
    write_run_json(tmp_path, {"state": "finished"})
    (tmp_path / "scores.csv").write_text("x")
    with pytest.raises(TrainingError, match="another command"), open_folder(tmp_path, fresh=fresh):
        pass
    assert (tmp_path / "scores.csv").exists()


def test_a_damaged_record_is_told_and_fresh_mends_it(begun):
    (begun / "run.json").write_text('{"schema_version": 1, "kind"')
    with pytest.raises(RunJsonError, match="--fresh"), open_folder(begun):
        pass
    with open_folder(begun, fresh=True) as folder:
        assert folder.is_new


def test_a_damaged_record_of_a_night_is_not_removed(begun):
    (begun / "run.json").write_text("{")
    (begun / "ledger.db").write_text("x")
    with pytest.raises(TrainingError), open_folder(begun, fresh=True):
        pass
    assert (begun / "ledger.db").exists()


def test_what_is_written_says_what_it_is(begun):
    content = json.loads((begun / "run.json").read_text())
    assert (content["schema_version"], content["kind"], content["state"]) == (1, "training", "running")


def test_half_written_files_of_a_killed_run_are_swept(begun):
    (begun / ".cxrbatch-tmp-0011").write_text("x")
    with open_folder(begun):
        assert not (begun / ".cxrbatch-tmp-0011").exists()
