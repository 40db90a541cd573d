"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excite, with ReLU6 for swish.

Tan and Le, ICML 2019 (arXiv:1905.11946); the Lite variants are described in TensorFlow's
``tpu/models/official/efficientnet/lite``. Convolutions use TensorFlow's "same" padding, which the
torch port imitates, so the weights fit at any input size.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from cxrbatch.pipeline.input_spec import InputSpec

_EPSILON = 1e-3
_MOMENTUM = 0.99
STEM_FILTERS = 32
HEAD_FILTERS = 1280


@dataclass(frozen=True, slots=True)
class Stage:
    """Equal inverted-residual blocks after one another; only the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def build(input_spec: InputSpec, n_findings: int) -> keras.Model:
    """The backbone, global average pooling, `n_findings` sigmoids. Random weights.

    The stride is 32: an input of 320 x 320 gives maps of 10 x 10.
    """
    inputs = layers.Input((input_spec.height, input_spec.width, input_spec.channels), name="image")
    pooled = layers.GlobalAveragePooling2D(name="pooling")(backbone(inputs))
    findings = layers.Dense(n_findings, activation="sigmoid", name="findings")(pooled)
    return keras.Model(inputs, findings, name="efficientnet_lite0")


def backbone(inputs: keras.KerasTensor) -> keras.KerasTensor:
    """(n, height, width, channels) -> last activation (n, height / 32, width / 32, 1280), in [0, 6]."""
    x = _convolution(inputs, STEM_FILTERS, kernel=3, stride=2, name="stem")
    number = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            x = _inverted_residual(x, stage, stride, name=f"block{number}")
            number += 1
    return _convolution(x, HEAD_FILTERS, kernel=1, stride=1, name="head")


def _inverted_residual(x: keras.KerasTensor, stage: Stage, stride: int, name: str) -> keras.KerasTensor:
    """Expand, filter each channel by itself, project; add the input where shapes allow."""
    entry = x
    if stage.expansion != 1:
        x = _convolution(x, x.shape[-1] * stage.expansion, kernel=1, stride=1, name=f"{name}_expand")
    x = layers.DepthwiseConv2D(
        stage.kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _normalise(x, f"{name}_depthwise")
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu6")(x)
    x = layers.Conv2D(stage.filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _normalise(x, f"{name}_project")
    if stride == 1 and entry.shape[-1] == stage.filters:
        x = layers.Add(name=f"{name}_add")([x, entry])
    return x


def _convolution(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(_normalise(x, name))


def _normalise(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=_EPSILON, momentum=_MOMENTUM, name=f"{name}_bn")(x)
