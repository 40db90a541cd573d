"""Films scored the Ray Data way, as its documentation has batch inference done; run by `ray_data_way.py`.

    python benchmarks/parts/ray_data.py ARRANGEMENT MODEL OUT FILE...

``from_items``, a stage of tasks that decode, a stage of stateful actors that score, and results that come
back to the driver. What is done to a film is our own code, and all of what a scorer of ours does to it:
read, digests, decode, picture, preprocess, forward pass with heat maps; picture and maps are flushed and
renamed into OUT. Prints one JSON object: probabilities by file name, and what went through the object store.

Left out, in Ray Data's favour: headers, the ledger, tables, a limit for a codec that hangs, and keeping
neighbours of a poisoned file from harm.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cxrbatch.allocator import keep_freed_memory
from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.intake.records import FileKind
from cxrbatch.ledger.atomic import write_atomic
from cxrbatch.pipeline.fit import fit_film
from cxrbatch.radiographs.display import display_jpeg
from cxrbatch.radiographs.read import read_radiograph

Row = dict[str, Any]
FILMS_IN_BLOCK = 4
"""Films of a task, and of what it puts into the object store at once: tasks of Ray cost milliseconds each."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the work is laid out on a machine.

    The decoding stage gives `stage`: ``pixels`` (uint16, full size) or ``tensors`` (float32, what the network
    takes). `actors` score, None standing for one a processor; each claims `share` of a processor, and its
    forward pass has `threads`, None standing for one a processor.
    """

    stage: str
    actors: int | None
    threads: int | None
    share: float


ARRANGEMENTS = {
    "pixels travel, an actor of 1 thread": Arrangement("pixels", 1, 1, 0.9),
    "pixels travel, an actor of all threads": Arrangement("pixels", 1, None, 0),
    "tensors travel, an actor of 1 thread": Arrangement("tensors", 1, 1, 0.9),
    "tensors travel, an actor of all threads": Arrangement("tensors", 1, None, 0),
    "nothing travels, an actor of 1 thread a processor": Arrangement("tensors", None, 1, 1),
}
"""Ray Data fuses stages that claim the same, a whole processor: then the actors decode as well, and nothing
goes through the object store. With another share they stay two. Where an actor claims nothing, decoding
tasks run on all processors, and the system shares these out, as it does for our own scorers and decoders.
"""


def decode(row: Row, out: str) -> Row:
    """A file's path -> its pixels, uint16 (rows, columns); its picture is kept."""
    _settle_in()
    path = Path(row["path"])
    data = path.read_bytes()
    film = read_radiograph(data, FileKind.DICOM)
    write_atomic(Path(out, f"{path.stem}.jpg"), display_jpeg(film.pixels))
    digests = {"file_sha256": hashlib.sha256(data).hexdigest(), "pixel_digest": film.digest}
    return {"name": path.name, **digests, "film": film.pixels}


def decode_and_fit(row: Row, out: str, model: str) -> Row:
    """A file's path -> float32 (height, width, channels), as the network takes it."""
    decoded = decode(row, out)
    return {**decoded, "film": _preprocess(model)(decoded["film"])}


class Scorer:
    """An actor: holds the model."""

    def __init__(self, model: str, threads: int, out: str, is_fitted: bool) -> None:
        from cxrbatch.scoring.predictor import load_predictor

        self._predictor = load_predictor(open_bundle(model), threads=threads, processors=threads)
        self._fit = None if is_fitted else _preprocess(model)
        self._out = Path(out)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """Probabilities, in place of the films."""
        films = batch.pop("film")
        tensors = films if self._fit is None else [self._fit(film) for film in films]
        return {**batch, "probabilities": np.stack(list(self._score(batch["name"], tensors)))}

    def _score(self, names: Any, tensors: Any) -> Iterator[np.ndarray]:
        size = self._predictor.batch_size
        for at in range(0, len(tensors), size):
            part = np.stack(tensors[at : at + size])
            padded = np.zeros((size, *part.shape[1:]), np.float32)
            padded[: len(part)] = part
            prediction = self._predictor(padded)
            for position, name in enumerate(names[at : at + size]):
                if prediction.maps is not None:
                    self._keep(name, prediction.maps[position].astype(np.float16))
                yield prediction.probabilities[position]

    def _keep(self, name: str, maps: np.ndarray) -> None:
        buffer = io.BytesIO()
        np.save(buffer, maps, allow_pickle=False)
        write_atomic(self._out / f"{Path(name).stem}.npy", buffer.getvalue())


def score(films: list[str], arrangement: Arrangement, model: str, out: str) -> dict[str, Any]:
    """Probabilities by file name, and the bytes that went through the object store."""
    import ray.data

    cores = len(os.sched_getaffinity(0))
    blocks = -(-len(films) // FILMS_IN_BLOCK)
    dataset = ray.data.from_items([{"path": path} for path in films], override_num_blocks=blocks)
    if arrangement.stage == "pixels":
        dataset = dataset.map(decode, fn_kwargs={"out": out})
    else:
        dataset = dataset.map(decode_and_fit, fn_kwargs={"out": out, "model": model})
    dataset = dataset.map_batches(
        Scorer,
        fn_constructor_args=(model, arrangement.threads or cores, out, arrangement.stage == "tensors"),
        batch_size=FILMS_IN_BLOCK,
        num_cpus=arrangement.share,
        compute=ray.data.ActorPoolStrategy(size=arrangement.actors or cores),
    )
    found = {row["name"]: row["probabilities"].tolist() for row in dataset.iter_rows()}
    stages = re.findall(r"Output size bytes per block: .*, (\d+) total", dataset.stats())
    return {"probabilities": found, "stored": sum(map(int, stages)), "account": dataset.stats()}


@lru_cache(1)
def _settle_in() -> None:
    """Once for a process: what our own decoders do for speed."""
    keep_freed_memory()
    threadpool_limits(1)


@lru_cache(1)
def _preprocess(model: str) -> Callable[[np.ndarray], np.ndarray]:
    """Our own two halves; the second is traced once for a process."""
    import tensorflow as tf

    from cxrbatch.pipeline.preprocess import make_scale

    spec = open_bundle(model).card.input
    signature = [tf.TensorSpec((spec.height, spec.width, 1), tf.float32)]
    scale = tf.function(make_scale(spec), input_signature=signature)
    return lambda pixels: scale(tf.constant(fit_film(pixels, spec)[..., np.newaxis])).numpy()


def main() -> None:
    name, model, out, *films = sys.argv[1:]
    Path(out).mkdir(parents=True, exist_ok=True)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Workers find this module by its name, like any package of a Ray Data user's.
    here = str(Path(__file__).resolve().parent.parent)
    sys.path.insert(0, here)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))

    import ray

    from parts import ray_data

    with tempfile.TemporaryDirectory(prefix="cxr-", dir="/tmp") as folder:  # Ray's sockets want a short path
        ray.init(
            num_cpus=len(os.sched_getaffinity(0)),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=folder,
        )
        ray.data.DataContext.get_current().enable_progress_bars = False
        try:
            result = ray_data.score(films, ray_data.ARRANGEMENTS[name], model, out)
        finally:
            ray.shutdown()
    Path(out, "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
