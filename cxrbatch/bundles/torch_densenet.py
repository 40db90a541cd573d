"""torchvision's DenseNet121, and what was made of it, into the same network in Keras.

The two libraries pad alike here: Keras' DenseNet pads its first convolution and pooling by explicit zeros on
all sides, and zeros before max pooling are as good as torch's minus infinity, since a ReLU comes first. They
differ in the batch norms' epsilon, which is taken into the scale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.torch_file import StateDict
from cxrbatch.pipeline.input_spec import InputSpec

if TYPE_CHECKING:
    import torch

BLOCKS = (6, 12, 24, 16)
"""Dense layers in the four blocks of DenseNet121 (Huang et al., CVPR 2017, table 1)."""

TORCH_EPSILON = 1e-5

# Whatever wrapped the network put its name before the keys: DataParallel "module.", arnoweng "densenet121.".
_KEY = re.compile(r"(?:[A-Za-z_]\w*\.)*?((?:features|classifier)\..+|op_threshs)")
# torchvision before 0.2.1 called its layers norm.1, conv.1 and so on.
_OLD = re.compile(r"(\.denselayer\d+\.(?:norm|relu|conv))\.([12])(?=\.)")

Floats = NDArray[np.float32]


def torchvision_keys(path: Path, state: StateDict) -> dict[str, torch.Tensor]:
    """The state dict under today's names of torchvision: ``features...``, ``classifier.weight``, ``.bias``.

    Counters of batches (``num_batches_tracked``) are left out.

    Raises:
        BundleError: a key that no DenseNet has, or two for the same array.
    """
    found: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise BundleError(f"{path} is no DenseNet121: it has an array {ascii(key)[:100]}.")
        name = re.sub(r"^classifier\.0\.", "classifier.", _OLD.sub(r"\1\2", match[1]))
        if name.endswith("num_batches_tracked"):
            continue
        if name in found:
            raise BundleError(f"{path} has two arrays for {name}: it holds more than one network.")
        found[name] = value
    return found


def checked_arrays(
    path: Path, state: StateDict, channels: int, n_outputs: int
) -> dict[str, NDArray[np.float32]]:
    """Every array of the network as float32, all names and shapes checked; ``op_threshs`` is passed over.

    Args:
        path: where `state` is from, for messages.
        state: from `torchvision_keys`.
        channels: of the input.
        n_outputs: how many the classifier must have.

    Raises:
        BundleError: an array is missing, is one too many, has another shape, or is not finite.
    """
    expected = _shapes(channels, n_outputs)
    for key, shape in expected.items():
        if key not in state:
            raise BundleError(f"{path} does not fit densenet121: it has no array {key}.")
        _require_shape(path, key, state[key], shape)
    left = sorted(set(state) - set(expected) - {"op_threshs"})
    if left:
        raise BundleError(
            f"{path} does not fit densenet121: it has {len(left)} arrays more, such as {left[0]}."
        )
    return {key: _numbers(path, key, state[key]) for key in expected}


def _shapes(channels: int, n_outputs: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays of DenseNet121 with growth 32 and bottlenecks of 128."""
    shapes: dict[str, tuple[int, ...]] = {"features.conv0.weight": (64, channels, 7, 7)}
    norms = {"features.norm0": 64}
    width = 64
    for block, count in enumerate(BLOCKS, start=1):
        for number in range(1, count + 1):
            layer = f"features.denseblock{block}.denselayer{number}"
            norms |= {f"{layer}.norm1": width, f"{layer}.norm2": 128}
            shapes |= {f"{layer}.conv1.weight": (128, width, 1, 1), f"{layer}.conv2.weight": (32, 128, 3, 3)}
            width += 32
        if block < len(BLOCKS):
            norms[f"features.transition{block}.norm"] = width
            shapes[f"features.transition{block}.conv.weight"] = (width // 2, width, 1, 1)
            width //= 2
    norms["features.norm5"] = width
    for name, channels_there in norms.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels_there,)
    return shapes | {"classifier.weight": (n_outputs, width), "classifier.bias": (n_outputs,)}


def _require_shape(path: Path, key: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Before any copy: a few stored bytes can claim any shape."""
    import torch

    if tuple(tensor.shape) != shape or tensor.layout != torch.strided or tensor.is_meta:
        raise BundleError(
            f"{path} does not fit densenet121: {key} is {_shape(tensor.shape)}, expected {_shape(shape)}."
        )


def _numbers(path: Path, key: str, tensor: torch.Tensor) -> Floats:
    import torch

    array: Floats = tensor.detach().to(torch.float32).numpy()
    if not np.isfinite(array).all():
        raise BundleError(f"{path}: {key} holds NaN or infinite values.")
    return array


def write_keras_weights(
    arrays: Mapping[str, Floats], spec: InputSpec, kept: Sequence[int], target: Path
) -> None:
    """Write the network as weights of our ``densenet121``.

    Args:
        arrays: from `checked_arrays`.
        spec: the input of the network.
        kept: indices of the outputs that become findings, in order.
        target: ends in ``.weights.h5``.
    """
    from cxrbatch.bundles.architectures import build_architecture

    model = build_architecture("densenet121", spec, len(kept))
    for name, prefix in _layers():
        layer = model.get_layer(name)
        if name == "findings":
            kernel, bias = arrays[f"{prefix}.weight"], arrays[f"{prefix}.bias"]
            layer.set_weights([kernel[list(kept)].T, bias[list(kept)]])
        elif name.endswith("bn"):
            layer.set_weights(_batch_norm(arrays, prefix, layer.epsilon))
        else:
            layer.set_weights([arrays[f"{prefix}.weight"].transpose(2, 3, 1, 0)])
    model.save_weights(target)


def _batch_norm(arrays: Mapping[str, Floats], prefix: str, epsilon: float) -> list[Floats]:
    """Scale, shift, mean and variance for Keras, whose `epsilon` is another than torch's."""
    scale, shift, mean, variance = (
        arrays[f"{prefix}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    wide = variance.astype(np.float64)
    exact = scale * np.sqrt((wide + epsilon) / (wide + TORCH_EPSILON))
    return [exact.astype(np.float32), shift, mean, variance]


def _layers() -> Iterator[tuple[str, str]]:
    """Names of Keras' layers with weights, and torchvision's for the same."""
    yield "conv1_conv", "features.conv0"
    yield "conv1_bn", "features.norm0"
    for block, count in enumerate(BLOCKS, start=1):
        for number in range(1, count + 1):
            ours, theirs = f"conv{block + 1}_block{number}", f"features.denseblock{block}.denselayer{number}"
            yield f"{ours}_0_bn", f"{theirs}.norm1"
            yield f"{ours}_1_conv", f"{theirs}.conv1"
            yield f"{ours}_1_bn", f"{theirs}.norm2"
            yield f"{ours}_2_conv", f"{theirs}.conv2"
        if block < len(BLOCKS):
            yield f"pool{block + 1}_bn", f"features.transition{block}.norm"
            yield f"pool{block + 1}_conv", f"features.transition{block}.conv"
    yield "bn", "features.norm5"
    yield "findings", "classifier"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"
