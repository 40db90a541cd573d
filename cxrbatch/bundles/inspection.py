"""Look a network over before it becomes a bundle: does it give probabilities, and heat maps?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.golden import Floats, golden_input
from cxrbatch.pipeline.input_spec import InputSpec


@dataclass(frozen=True, slots=True)
class Inspection:
    """`input` and the float32 `probabilities` for it; `mixed_deviation`: largest change in bfloat16."""

    input: Floats
    probabilities: Floats
    mixed_deviation: float
    has_heat_maps: bool


def inspect_network(weights: Path, architecture: str, spec: InputSpec, n_findings: int) -> Inspection:
    """Build the network of a weights file and run it on the golden input.

    Raises:
        BundleError: the file does not fit, its weights are not finite, its outputs are no probabilities,
            or they exclude each other (softmax).
    """
    import keras

    from cxrbatch.bundles.head import NoPooledHeadError, pooled_head
    from cxrbatch.bundles.network import in_mixed_precision, read_network

    model = read_network(weights, architecture, spec, n_findings)
    for variable in model.weights:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(variable))):
            raise BundleError(f"{weights}: the weights '{variable.path}' hold NaN or infinite values.")
    last = model.layers[-1]
    if (
        isinstance(last, keras.layers.Softmax)
        or getattr(last, "activation", None) is keras.activations.softmax
    ):
        raise BundleError(
            f"{weights}: the network ends in a softmax, so its findings exclude each other. "
            "It must end in a sigmoid for each finding."
        )
    picture = golden_input(spec)
    exact = _probabilities(model, picture)
    if not np.all((exact >= 0.0) & (exact <= 1.0)):
        raise BundleError(
            f"{weights}: the network's outputs are no probabilities: {exact.min():.3g} to {exact.max():.3g}. "
            "It must end in a sigmoid for each finding."
        )
    mixed = _probabilities(in_mixed_precision(model, "mixed_bfloat16"), picture)
    try:
        pooled_head(model)
    except NoPooledHeadError:
        has_heat_maps = False
    else:
        has_heat_maps = True
    return Inspection(picture, exact, float(np.max(np.abs(mixed - exact))), has_heat_maps)


def _probabilities(model: object, picture: Floats) -> Floats:
    import keras

    assert isinstance(model, keras.Model)
    output = model(picture, training=False)
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")), np.float32)
