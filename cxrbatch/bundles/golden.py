"""The golden pair: an input, and the probabilities that loaded weights must give for it.

A hash proves that the file is the right one; the golden pair proves that the network built from it,
on this machine, by this runtime, computes what it computed when the bundle was made.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

Floats = NDArray[np.float32]

FLOAT32_TOLERANCE = 1e-5
"""Contract 3.3: across runtimes, thread counts and machines in float32."""

MAX_GOLDEN_BYTES = 512 << 20
"""Two pictures of the largest input take 400 MB."""

MIXED_TOLERANCE = 0.05
"""For mixed precision when none was measured for a bundle."""


@dataclass(frozen=True, slots=True)
class GoldenPair:
    """`input` float32 (n, height, width, channels), preprocessed; `probabilities` float32 (n, findings).

    `tolerance` is the largest allowed absolute difference, by precision: ``float32`` and ``mixed``.
    """

    input: Floats
    probabilities: Floats
    tolerance: dict[str, float]


class ChecksGolden(Protocol):
    """What `check_golden` needs of a predictor."""

    batch_size: int
    precision: str

    def probabilities(self, batch: Floats) -> Floats:
        """(batch_size, height, width, channels) -> (batch_size, findings)."""


def golden_input(spec: InputSpec, seed: int = 20260101) -> Floats:
    """Two synthetic pictures as the network would see them: soft blobs, and blobs under noise.

    No radiograph: a bundle may be given away. Drawn from `seed`; (2, height, width, channels).
    """
    random = np.random.default_rng(seed)
    rows = np.linspace(0.0, 1.0, spec.height)[:, None]
    columns = np.linspace(0.0, 1.0, spec.width)[None, :]
    picture = np.full((spec.height, spec.width), 0.75)
    for _ in range(12):
        row, column, weight = random.uniform(0.1, 0.9), random.uniform(0.1, 0.9), random.uniform(-0.5, 0.5)
        spread = random.uniform(0.05, 0.25)
        picture += weight * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2.0 * spread**2))
    noisy = picture + random.normal(0.0, 0.1, picture.shape)
    grey = np.clip(np.stack([picture, noisy]), 0.0, 1.0)
    # On 1/64 steps the pictures still have every grey value the check needs, and compress well.
    return _scaled(np.round(grey * 64.0) / 64.0, spec)


def _scaled(grey: NDArray[np.float64], spec: InputSpec) -> Floats:
    """About what the pipeline would make of it; it need not agree, the scaled picture itself is kept."""
    match spec.scaling:
        case Scaling.UNIT:
            scaled = grey
        case Scaling.XRV:
            scaled = grey * 2048.0 - 1024.0
        case _:
            scaled = (grey - 0.5) / 0.25
    return np.repeat(scaled[..., None], spec.channels, axis=-1).astype(np.float32)


def write_golden(path: Path, pair: GoldenPair) -> None:
    """Write ``golden.npz``: input, probabilities, and a scalar tolerance_<precision> each."""
    tolerances = {f"tolerance_{name}": np.float64(value) for name, value in pair.tolerance.items()}
    np.savez_compressed(
        path, input=pair.input, probabilities=pair.probabilities, allow_pickle=False, **tolerances
    )


def read_golden(bundle: Bundle) -> GoldenPair:
    """The bundle's pair, never unpickled.

    Raises:
        BundleError: the file is damaged, or its shapes do not fit the card.
    """
    path = bundle.golden_path
    try:
        require_small(path)
        with np.load(path, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in arrays.files}
        pair = GoldenPair(
            np.asarray(content["input"], np.float32),
            np.asarray(content["probabilities"], np.float32),
            {
                "float32": float(content["tolerance_float32"]),
                "mixed": float(content.get("tolerance_mixed", MIXED_TOLERANCE)),
            },
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} cannot be read as a golden pair: {error}.") from error
    spec = bundle.card.input
    shape = (spec.height, spec.width, spec.channels)
    rows = len(pair.input)
    if (
        rows == 0
        or pair.input.shape[1:] != shape
        or pair.probabilities.shape != (rows, len(bundle.card.findings))
    ):
        raise BundleError(
            f"{path} does not fit its card: input {pair.input.shape}, probabilities "
            f"{pair.probabilities.shape}; the card says (n, {shape[0]}, {shape[1]}, {shape[2]}) and "
            f"{len(bundle.card.findings)} findings."
        )
    return pair


def require_small(path: Path) -> None:
    """Before numpy takes memory by what an .npz file's headers say: they and the archive must be modest.

    Raises ValueError.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_GOLDEN_BYTES:
            raise ValueError(f"it would unpack to {unpacked:,} bytes")
        for member in archive.infolist():
            with archive.open(member) as stream:
                major, _ = np.lib.format.read_magic(stream)
                read = (
                    np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(stream)
            if math.prod(shape) * dtype.itemsize > member.file_size:
                raise ValueError(f"'{member.filename}' declares {shape} numbers and does not hold them")


def check_golden(predictor: ChecksGolden, bundle: Bundle) -> float:
    """Largest absolute difference between the golden probabilities and the predictor's.

    Raises:
        BundleError: it exceeds the bundle's tolerance for the predictor's precision (or is NaN).
    """
    pair = read_golden(bundle)
    found = _in_batches(predictor, pair.input)
    difference = float(np.max(np.abs(found.astype(np.float64) - pair.probabilities)))
    allowed = pair.tolerance[predictor.precision]
    # Written so that NaN fails.
    if not difference <= allowed:
        raise BundleError(
            f"The model '{bundle.card.name}' does not give its golden output on this machine: "
            f"probabilities differ by {difference:.2g}, allowed is {allowed:.2g} in "
            f"{predictor.precision}. Nothing was scored."
        )
    return difference


def _in_batches(predictor: ChecksGolden, inputs: Floats) -> Floats:
    """Feed `inputs` in batches of the predictor's fixed size, the last filled up with zeros."""
    size = predictor.batch_size
    results = []
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        batch = np.zeros((size, *part.shape[1:]), np.float32)
        batch[: len(part)] = part
        results.append(predictor.probabilities(batch)[: len(part)])
    return np.concatenate(results)
