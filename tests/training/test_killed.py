"""`cxrbatch train` killed midway, and on real films: minutes each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.sample.cohort import write_cohort

pytestmark = pytest.mark.long

EPOCHS = 4


def command(images: Path, labels: Path, out: Path, *options: object) -> list[str]:
    asked = ["--images", images, "--labels", labels, "--out", out, *options]
    return [sys.executable, "-m", "cxrbatch", "train", *map(str, asked)]


def finish(asked: list[str]) -> subprocess.CompletedProcess:
    done = subprocess.run(asked, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    return done


def record(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


def epochs(out: Path) -> int:
    path = out / "history.csv"
    return len(pd.read_csv(path)) if path.exists() else 0


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    images = folder / "films"
    write_cohort(images, 60, 0, (160, 160))
    options = ("--mode", "full", "--size", 64, "--epochs", EPOCHS, "--steps-per-epoch", 6, "--findings",
               "Consolidation,Effusion")  # fmt: skip
    site = folder / "site.toml"
    site.write_text("[train]\nwarmup_epochs = 2\nvalidation_fraction = 0.25\ntest_fraction = 0.25\n")
    return lambda out: command(images, images / "labels.csv", folder / out, *options, "--config", site)


@pytest.fixture(scope="module")
def whole(asked) -> Path:
    """A training that nobody disturbed."""
    finish(asked("whole"))
    return Path(asked("whole")[9])


def stop_after(asked: list[str], out: Path, count: int, number: signal.Signals) -> int:
    """Start, and send a signal once `count` epochs are recorded; the exit code."""
    process = subprocess.Popen(
        asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        end = time.monotonic() + 900
        while epochs(out) < count and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.05)
        os.kill(process.pid, number)
        return process.wait(timeout=300)
    finally:
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize(("count", "number"), [(1, signal.SIGKILL), (3, signal.SIGKILL), (2, signal.SIGTERM)])
def test_a_stopped_training_ends_as_an_undisturbed_one(asked, whole, count, number):
    asked_now = asked(f"stopped-{count}")
    out = Path(asked_now[9])
    code = stop_after(asked_now, out, count, number)
    assert code == (-9 if number == signal.SIGKILL else 143)
    before = pd.read_csv(out / "history.csv")
    if number == signal.SIGTERM:
        assert record(out)["state"] == "interrupted"
    finish(asked_now)
    history, expected = pd.read_csv(out / "history.csv"), pd.read_csv(whole / "history.csv")
    assert history["epoch"].tolist() == list(range(1, EPOCHS + 1))
    assert history["step"].tolist() == expected["step"].tolist()
    assert history["step"].is_monotonic_increasing
    same = ["epoch", "step", "loss", "val_loss", "seconds"]
    pd.testing.assert_frame_equal(history.loc[: len(before) - 1, same], before[same])
    figures = ["loss", "val_loss", "val_macro_auroc", "learning_rate"]
    pd.testing.assert_frame_equal(history[figures], expected[figures], rtol=1e-3)
    assert record(out)["state"] == "finished"
    for key in ("epochs", "best_epoch"):
        assert record(out)["history"][key] == record(whole)["history"][key]
    assert record(out)["used"] == record(whole)["used"]
    assert open_bundle(out / "bundle").card.findings == ("Consolidation", "Effusion")


@pytest.mark.realdata
def test_a_trial_on_real_films(realdata, tmp_path):
    out = tmp_path / "trial"
    done = finish(
        command(realdata / "nih" / "images", realdata / "nih" / "labels.csv", out, "--mode", "subset")
    )
    history = pd.read_csv(out / "history.csv")
    assert history["step"].tolist() == [100, 200, 300]
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert "The training loss fell from" in done.stderr
    metrics = json.loads((out / "validation" / "metrics.json").read_text())
    # cxr-lite was trained on these very patients, which nobody may overlook.
    assert metrics["leak_check"]["patients_in_training_data"] == metrics["n_patients"]
    assert "ALARM: The model was trained on patients of this cohort" in done.stderr
    assert open_bundle(out / "bundle").card.calibration is not None
    with Image.open(out / "curves.png") as picture:
        assert picture.width > 300
