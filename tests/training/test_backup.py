"""The backup is whole or the one before; nothing of a callback can be forgotten unnoticed."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from cxrbatch.training import backup
from cxrbatch.training.backup import BackupAndRestore, State, read_state, write_state
from cxrbatch.training.records import TrainingError


def state(epoch: int = 3) -> State:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, np.int64)]
    callbacks = {"history": {"rows": [[1.0, float("nan")]]}, "guard": {"steps": 12}}
    return State("a" * 64, "deep", epoch, False, callbacks, arrays, arrays[::-1], {12: arrays[0] / 3})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_state(tmp_path / "state.npz", "a" * 64) is None
    write_state(tmp_path / "state.npz", state())
    found = read_state(tmp_path / "state.npz", "a" * 64)
    assert found is not None
    assert (found.phase, found.epoch, found.stopped) == ("deep", 3, False)
    assert found.callbacks["guard"] == {"steps": 12}
    assert np.isnan(found.callbacks["history"]["rows"][0][1])
    assert list(found.average) == [12]
    np.testing.assert_array_equal(found.average[12], state().average[12])
    for one, other in zip(
        [*found.model, *found.optimizer], [*state().model, *state().optimizer], strict=True
    ):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_crash_while_writing_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.npz"
    write_state(path, state(3))

    def interrupted(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_state(path, state(4))
    found = read_state(path, "a" * 64)
    assert found is not None
    assert found.epoch == 3


def test_another_run_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "TRAIN" / "backup" / "state.npz"
    path.parent.mkdir(parents=True)
    write_state(path, state())
    with pytest.raises(
        TrainingError, match=r"TRAIN holds .*aaaaaaaaaaaa, asked for is bbbbbbbbbbbb.*3 epochs"
    ):
        read_state(path, "b" * 64)


@pytest.mark.parametrize("keep", [0, 10, 400, 900])
def test_a_damaged_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "state.npz"
    write_state(path, state())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match="is damaged"):
        read_state(path, "a" * 64)


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(tmp_path / "state.npz", state())
    monkeypatch.setattr(backup, "VERSION", backup.VERSION + 1)
    with pytest.raises(TrainingError, match="another version"):
        read_state(tmp_path / "state.npz", "a" * 64)


def test_a_callback_that_would_be_forgotten_is_refused(tmp_path: Path) -> None:
    class Counting(keras.callbacks.Callback):
        count = 0

    with pytest.raises(TypeError, match="Counting does not say"):
        BackupAndRestore(tmp_path / "state.npz", "a", "head", [Counting()])


def test_another_network_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(TrainingError, match="another network"):
        backup.assign(model.variables, [np.zeros((3, 4)), np.zeros(4)], tmp_path)
