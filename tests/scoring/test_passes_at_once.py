"""Several forward passes at a time: the bytes of one by one, in order, and nothing left running."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from cxrbatch.bundles.architectures import build_architecture
from cxrbatch.bundles.bundle import Bundle, open_bundle
from cxrbatch.scoring import openvino_runtime
from cxrbatch.scoring.prediction import Prediction, Predictor
from cxrbatch.scoring.predictor import load_predictor
from tests.scoring.conftest import FINDINGS, SPEC, make_bundle

RUNTIMES = ("keras", "openvino")


@dataclass(frozen=True)
class Numbered:
    number: int
    inputs: np.ndarray


def numbered(predictor: Predictor, bundle: Bundle, many: int = 9) -> list[Numbered]:
    spec = bundle.card.input
    shape = (many, predictor.batch_size, spec.height, spec.width, spec.channels)
    films = np.random.default_rng(11).random(shape, np.float32)
    return [Numbered(number, film) for number, film in enumerate(films)]


def content(prediction: Prediction) -> list[bytes]:
    maps = b"" if prediction.maps is None else prediction.maps.tobytes()
    return [
        prediction.logits.tobytes(),
        prediction.probabilities.tobytes(),
        maps,
        str(prediction.looks).encode(),
    ]


@pytest.fixture(scope="module")
def densenet(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    keras.utils.set_random_seed(5)
    network = build_architecture("densenet121", SPEC, len(FINDINGS))
    return make_bundle(tmp_path_factory.mktemp("bundles") / "densenet", network)


@pytest.fixture(
    params=["tiny_bundle", "flat_bundle", "cxr-lite", pytest.param("densenet", marks=pytest.mark.long)]
)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return open_bundle("cxr-lite") if request.param == "cxr-lite" else request.getfixturevalue(request.param)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("processors", [1, None])
def test_the_same_bytes_as_one_by_one_and_in_order(
    bundle: Bundle, batch_size: int, processors: int | None
) -> None:
    alone = load_predictor(bundle, "openvino", batch_size, processors=1)
    predictor = load_predictor(bundle, "openvino", batch_size, processors=processors)
    batches = numbered(predictor, bundle)

    found = list(predictor.predict(batches))

    assert (alone.at_once, alone.threads, predictor.threads) == (1, 1, 1)
    assert [batch.number for batch, _ in found] == list(range(len(batches)))
    assert all(batch is given for (batch, _), given in zip(found, batches, strict=True))
    for batch, prediction in found:
        assert content(prediction) == content(alone(batch.inputs))


def test_what_keras_computes_for_the_same_films(tiny_bundle: Bundle) -> None:
    by_keras, by_openvino = (load_predictor(tiny_bundle, runtime) for runtime in RUNTIMES)
    batches = numbered(by_openvino, tiny_bundle)

    both = list(zip(by_keras.predict(batches), by_openvino.predict(batches), strict=True))

    assert len(both) == len(batches)
    for (theirs, expected), (ours, found) in both:
        assert theirs is ours
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)


def test_as_many_passes_as_threads_leave_room_for(tiny_bundle: Bundle) -> None:
    here = len(os.sched_getaffinity(0))
    for threads, processors in ((1, here), (here, 1), (here, here + 1), (1, 1)):
        predictor = load_predictor(tiny_bundle, "openvino", threads=threads, processors=processors)
        assert predictor.threads == threads
        assert predictor.at_once == max(1, processors // threads)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_batches_are_read_no_further_than_needed(tiny_bundle: Bundle, runtime: str) -> None:
    predictor = load_predictor(tiny_bundle, runtime)  # type: ignore[arg-type]
    read: list[int] = []

    def batches() -> Iterator[Numbered]:
        for batch in numbered(predictor, tiny_bundle):
            read.append(batch.number)
            yield batch

    for batch, _ in predictor.predict(batches()):
        assert read[-1] - batch.number <= predictor.at_once


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_error_comes_through_and_the_next_films_are_scored(tiny_bundle: Bundle, runtime: str) -> None:
    predictor = load_predictor(tiny_bundle, runtime)  # type: ignore[arg-type]
    batches = numbered(predictor, tiny_bundle)
    wrong = [*batches[:4], Numbered(4, np.zeros((2, 32, 32, 3), np.float32)), *batches[5:]]

    def torn() -> Iterator[Numbered]:
        yield from batches[:4]
        raise OSError("the share is gone")

    with pytest.raises(ValueError, match="A batch must have the shape"):
        list(predictor.predict(wrong))
    with pytest.raises(OSError, match="the share is gone"):
        list(predictor.predict(torn()))
    assert len(list(predictor.predict(batches))) == len(batches)


def test_a_pass_that_fails_is_an_error(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = load_predictor(tiny_bundle, "openvino")
    batches = numbered(predictor, tiny_bundle)
    wait, waited = openvino_runtime._Pass.outputs, []

    def third_fails(its_pass: openvino_runtime._Pass) -> list[np.ndarray]:
        waited.append(its_pass)
        if len(waited) == 3:
            raise RuntimeError("Exception from the plugin")
        return wait(its_pass)

    monkeypatch.setattr(openvino_runtime._Pass, "outputs", third_fails)
    found = predictor.predict(batches)
    assert [next(found)[0].number, next(found)[0].number] == [0, 1]
    with pytest.raises(RuntimeError, match="from the plugin"):
        next(found)
    assert list(found) == []


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_two_threads_may_use_one_predictor(tiny_bundle: Bundle, runtime: str) -> None:
    predictor = load_predictor(tiny_bundle, runtime)  # type: ignore[arg-type]
    batches = numbered(predictor, tiny_bundle, many=40)
    expected = [content(predictor(batch.inputs)) for batch in batches]

    with ThreadPoolExecutor(2) as threads:
        results = threads.map(lambda part: list(predictor.predict(part)), [batches[:25], batches[25:]])
        found = [content(prediction) for part in results for _, prediction in part]

    assert found == expected


_ABANDONED = """
import ctypes, mmap, time
import numpy as np
from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.scoring.predictor import load_predictor

class Batch:
    def __init__(self, inputs):
        self.inputs = inputs

bundle = open_bundle("cxr-lite")
spec = bundle.card.input
shape = (1, spec.height, spec.width, spec.channels)
room = -(-4 * int(np.prod(shape)) // mmap.PAGESIZE) * mmap.PAGESIZE
predictor = load_predictor(bundle, "openvino")
pixels = int(np.prod(shape))
for taken in (1, 2, 5):
    memory = mmap.mmap(-1, 8 * room)
    inputs = [np.frombuffer(memory, np.float32, pixels, i * room).reshape(shape) for i in range(8)]
    found = predictor.predict(map(Batch, inputs))
    for _ in range(taken):
        next(found)
    found.close()
    start = ctypes.c_void_p(inputs[0].ctypes.data)
    assert ctypes.CDLL(None).mprotect(start, ctypes.c_size_t(8 * room), 0) == 0
    time.sleep(0.3)
print("nothing reads there")
"""


def test_no_pass_reads_its_input_after_being_abandoned() -> None:
    """The oracle is the kernel: it kills a process that reads where nothing may be read any more."""
    done = subprocess.run([sys.executable, "-c", _ABANDONED], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "nothing reads there", (done.returncode, done.stderr)
