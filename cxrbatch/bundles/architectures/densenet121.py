"""DenseNet121 (Huang et al., CVPR 2017) with the head of CheXNet (Rajpurkar et al., arXiv:1711.05225)."""

from __future__ import annotations

import keras

from cxrbatch.pipeline.input_spec import InputSpec


def build(input_spec: InputSpec, n_findings: int) -> keras.Model:
    """Keras' own DenseNet121, global average pooling, `n_findings` sigmoids. Random weights.

    The backbone's layers lie flat in the model, in Keras' order: this is the layout of the public
    CheXNet ``.h5`` files.
    """
    shape = (input_spec.height, input_spec.width, input_spec.channels)
    backbone = keras.applications.DenseNet121(include_top=False, weights=None, input_shape=shape)
    pooled = keras.layers.GlobalAveragePooling2D(name="pooling")(backbone.output)
    findings = keras.layers.Dense(n_findings, activation="sigmoid", name="findings")(pooled)
    return keras.Model(backbone.input, findings, name="densenet121")
