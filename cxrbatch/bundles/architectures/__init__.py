"""Networks that a card can name. A new one is one file here and one line in `ARCHITECTURES`.

Each module has ``build(input_spec, n_findings) -> keras.Model``: backbone, global average pooling, and
a dense layer with a sigmoid, all in one flat functional model, so that the legacy ``.h5`` files of the
field load into it by position. Importing this package needs no Keras; building a network does.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from cxrbatch.pipeline.input_spec import InputSpec

if TYPE_CHECKING:
    import keras

ARCHITECTURES = {
    "densenet121": "cxrbatch.bundles.architectures.densenet121",
    "efficientnet-lite0": "cxrbatch.bundles.architectures.efficientnet_lite0",
}
"""The name on the card, and the module that builds it."""

MIDDLE = {"densenet121": "pool3_pool", "efficientnet-lite0": "block10_add"}
"""A layer at a sixteenth of the input's size: past edges and textures, before what fine-tuning changes."""


WHOLE_MODEL = "keras"
"""On the card in place of an architecture: the weights file is a whole ``.keras`` model."""


def build_architecture(name: str, input_spec: InputSpec, n_findings: int) -> keras.Model:
    """The network `name` with random weights: (n, height, width, channels) -> (n, n_findings) in [0, 1].

    Raises:
        KeyError: no architecture of that name; the message lists those there are.
    """
    if name not in ARCHITECTURES:
        raise KeyError(f"There is no architecture '{name}'; there are {', '.join(sorted(ARCHITECTURES))}.")
    build: Callable[[InputSpec, int], keras.Model] = import_module(ARCHITECTURES[name]).build
    return build(input_spec, n_findings)
