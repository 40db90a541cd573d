"""The predictors, through both runtimes: agreement, determinism, one trace, and the golden check."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

from cxrbatch.bundles.bundle import Bundle, open_bundle, write_sums
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.golden import golden_input, read_golden, write_golden
from cxrbatch.scoring.keras_runtime import KerasPredictor
from cxrbatch.scoring.prediction import Predictor
from cxrbatch.scoring.predictor import has_gpu, load_predictor

RUNTIMES = ("keras", "openvino")


@pytest.fixture(scope="module")
def lite() -> Bundle:
    return open_bundle("cxr-lite")


@pytest.fixture(scope="module", params=RUNTIMES)
def lite_of_three(request: pytest.FixtureRequest, lite: Bundle) -> Predictor:
    """cxr-lite with three slots in a batch."""
    return load_predictor(lite, request.param, batch_size=3)


@pytest.fixture(scope="module")
def films(lite: Bundle) -> np.ndarray:
    return np.concatenate([golden_input(lite.card.input, seed) for seed in (1, 2, 3)])


def test_runtimes_agree_on_cxr_lite(lite: Bundle, films: np.ndarray) -> None:
    """A processor with AMX or AVX512-BF16 fails this if OpenVINO is left to choose its precision."""
    by_keras, by_openvino = (load_predictor(lite, runtime) for runtime in RUNTIMES)
    for film in films:
        expected, found = by_keras(film[None]), by_openvino(film[None])
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
        np.testing.assert_allclose(found.logits, expected.logits, atol=1e-4)
        assert expected.maps is not None
        assert found.maps is not None
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-4 * np.abs(expected.maps).max())
    assert (by_keras.runtime, by_openvino.runtime) == RUNTIMES
    assert "tensorflow" in by_keras.runtime_version
    assert "openvino" in by_openvino.runtime_version


def test_a_score_depends_on_its_slot_but_not_on_its_neighbours(
    lite_of_three: Predictor, films: np.ndarray
) -> None:
    first = lite_of_three(films[[0, 1, 2]])
    second = lite_of_three(films[[3, 1, 4]])

    assert first.probabilities[1].tobytes() == second.probabilities[1].tobytes()
    assert first.maps is not None
    assert second.maps is not None
    assert first.maps[1].tobytes() == second.maps[1].tobytes()
    assert first.probabilities[0].tobytes() != second.probabilities[0].tobytes()


def test_the_same_batch_gives_the_same_bytes_again(lite_of_three: Predictor, films: np.ndarray) -> None:
    results = {lite_of_three(films[:3]).logits.tobytes() for _ in range(5)}

    assert len(results) == 1


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_second_predictor_gives_the_same_bytes(
    tiny_bundle: Bundle, runtime: str, batch: np.ndarray
) -> None:
    results = {load_predictor(tiny_bundle, runtime)(batch).logits.tobytes() for _ in range(2)}  # type: ignore[arg-type]

    assert len(results) == 1


def test_earlier_results_do_not_change_with_the_next_batch(tiny_bundle: Bundle, batch: np.ndarray) -> None:
    predictor = load_predictor(tiny_bundle, "openvino")
    first = predictor(batch)
    kept = first.logits.copy(), first.maps.copy() if first.maps is not None else None

    predictor(np.zeros_like(batch))

    np.testing.assert_array_equal(first.logits, kept[0])
    np.testing.assert_array_equal(first.maps, kept[1])


def test_keras_traces_once(tiny_bundle: Bundle, batch: np.ndarray) -> None:
    predictor = load_predictor(tiny_bundle, "keras")
    assert isinstance(predictor, KerasPredictor)

    for offset in range(5):
        predictor(batch + np.float32(offset))

    assert predictor.traces == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_one_broken_pixel_gives_nan_and_leaves_the_neighbour_alone(
    tiny_bundle: Bundle, runtime: str, broken: float, batch: np.ndarray
) -> None:
    """ReLU turns NaN into 0 on CPUs: without care the film would get a plausible score."""
    predictor = load_predictor(tiny_bundle, runtime, batch_size=2)  # type: ignore[arg-type]
    films = np.concatenate([batch, batch])
    whole = predictor(films)
    films[0, 3, 4, 1] = broken

    prediction = predictor(films)

    assert np.isnan(prediction.probabilities[0]).all()
    assert np.isnan(prediction.logits[0]).all()
    np.testing.assert_array_equal(prediction.probabilities[1], whole.probabilities[1])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_head_without_maps_is_scored_without(flat_bundle: Bundle, runtime: str, batch: np.ndarray) -> None:
    prediction = load_predictor(flat_bundle, runtime)(batch)  # type: ignore[arg-type]

    assert prediction.maps is None
    expected = keras.saving.load_model(flat_bundle.weights_path)(batch)
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-6)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_another_batch_size_is_refused(tiny_bundle: Bundle, runtime: str, batch: np.ndarray) -> None:
    predictor = load_predictor(tiny_bundle, runtime)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="A batch must have the shape"):
        predictor(np.concatenate([batch, batch]))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_missed_golden_output_stops_loading(own_bundle: Bundle, runtime: str) -> None:
    pair = read_golden(own_bundle)
    pair.probabilities[1, 2] += 1e-4
    write_golden(own_bundle.golden_path, pair)
    write_sums(own_bundle.folder)  # the hashes are right: only computing it can tell

    with pytest.raises(BundleError, match="golden output"):
        load_predictor(open_bundle(own_bundle.folder), runtime)  # type: ignore[arg-type]


def test_mixed_precision_stays_within_the_bundles_bound(tiny_bundle: Bundle, batch: np.ndarray) -> None:
    exact, mixed = (load_predictor(tiny_bundle, "keras", mixed_precision=on) for on in (False, True))

    difference = np.abs(exact(batch).probabilities - mixed(batch).probabilities).max()

    assert mixed.precision == "mixed"
    assert 0.0 < difference < read_golden(tiny_bundle).tolerance["mixed"]


def test_auto_is_openvino_without_a_gpu(tiny_bundle: Bundle) -> None:
    if has_gpu():
        pytest.skip("this machine has a GPU")
    predictor = load_predictor(tiny_bundle)

    assert predictor.runtime == "openvino"
    assert predictor.batch_size == 1


def test_openvino_uses_the_threads_it_is_given(tiny_bundle: Bundle) -> None:
    assert load_predictor(tiny_bundle, "openvino", threads=1).threads == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"batch_size": 0}, "at least 1"),
        ({"threads": 0}, "at least 1"),
        ({"runtime": "onnx"}, "received 'onnx'"),
        ({"runtime": "openvino", "mixed_precision": True}, "needs the runtime 'keras'"),
    ],
)
def test_wrong_arguments_are_refused(tiny_bundle: Bundle, arguments: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        load_predictor(tiny_bundle, **arguments)  # type: ignore[arg-type]


_IN_A_NEW_PROCESS = """
import socket, sys
tried = []
def record(*arguments, **named):
    tried.append(arguments)
    raise OSError("no network")
socket.socket.connect = record
socket.getaddrinfo = record
import numpy as np
from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.scoring.predictor import load_predictor
predictor = load_predictor(open_bundle(sys.argv[1]), "openvino")
predictor(np.zeros((1, 32, 32, 3), np.float32))
heavy = [name for name in ("tensorflow", "keras") if name in sys.modules]
import threading
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(5)
telemetry = [name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name]]
print(heavy, telemetry, tried)
"""


def test_openvino_needs_no_tensorflow_when_cached_and_never_reports_home(
    own_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO's telemetry sends at import and at conversion unless it is kept out."""
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):  # these would switch it off by themselves
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    command = [sys.executable, "-c", _IN_A_NEW_PROCESS, str(own_bundle.folder)]

    outputs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)]

    assert outputs[0].strip() == "['tensorflow', 'keras'] [] []"
    assert outputs[1].strip() == "[] [] []"
    # Where telemetry is on, it keeps a client's number and statistics there, and sends from a child process.
    assert not (tmp_path / "home" / "intel").exists()


@pytest.mark.long
def test_runtimes_agree_on_densenet121(tmp_path: Path) -> None:
    from cxrbatch.bundles.architectures import build_architecture
    from cxrbatch.bundles.presets import PRESETS
    from cxrbatch.bundles.saving import save_bundle

    preset = PRESETS["chexnet-keras"]
    keras.utils.set_random_seed(9)
    model = build_architecture(preset.architecture, preset.input, len(preset.findings))
    model.save_weights(tmp_path / "dense.weights.h5")
    fields = {
        "name": "dense",
        "version": "1",
        "architecture": preset.architecture,
        "findings": preset.findings,
        "input": preset.input,
        "thresholds": dict.fromkeys(preset.findings, 0.5),
        "thresholds_method": "none",
        "intended_use": "a test",
        "limits": "random weights",
        "licence": "none",
    }
    bundle = save_bundle(tmp_path / "dense", tmp_path / "dense.weights.h5", fields)
    by_keras, by_openvino = (load_predictor(bundle, runtime) for runtime in RUNTIMES)

    for film in golden_input(preset.input, seed=4):
        expected, found = by_keras(film[None]), by_openvino(film[None])
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-4 * np.abs(expected.maps).max())


def test_a_model_with_given_threads_is_held_to_no_processor(lite: Bundle) -> None:
    """OpenVINO pins its threads unless told otherwise: two models of one thread would share processor 0."""
    predictor = load_predictor(lite, "openvino", threads=1)
    spec = lite.card.input
    film = np.zeros((1, spec.height, spec.width, spec.channels), np.float32)
    thread, wide = threading.get_native_id(), os.sched_getaffinity(0)
    seen: list[set[int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(os.sched_getaffinity(thread))

    watching = threading.Thread(target=watch)
    watching.start()
    for _ in range(5):
        predictor(film)
    done.set()
    watching.join()
    assert seen
    assert all(allowed == wide for allowed in seen)
