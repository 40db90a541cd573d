"""From a bundle's files to its Keras classifier: (n, height, width, channels) -> (n, findings) in [0, 1]."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import keras
import numpy as np

from cxrbatch.bundles.architectures import ARCHITECTURES, WHOLE_MODEL, build_architecture
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.weights_file import require_contained
from cxrbatch.pipeline.input_spec import InputSpec


def load_classifier(bundle: Bundle) -> keras.Model:
    """The network of `bundle`, in float32, ready for inference.

    Raises:
        BundleError: the weights do not fit the card's architecture, input or findings.
    """
    card = bundle.card
    return read_network(bundle.weights_path, card.architecture, card.input, len(card.findings))


def read_network(weights: Path, architecture: str, spec: InputSpec, n_findings: int) -> keras.Model:
    """The network `architecture` with the weights of a file, or the whole model in a ``.keras`` file.

    Weights are loaded by position in the network, never by name: loading by name leaves layers that
    have no namesake in the file at random values, silently.

    Raises:
        BundleError: unknown architecture, or a file that does not fit; the message says how.
    """
    if architecture == WHOLE_MODEL and weights.suffix != ".keras":
        raise BundleError(
            f"{weights}: a whole model must be a .keras file; for weights name their architecture."
        )
    if architecture == WHOLE_MODEL:
        model = _read_whole_model(weights)
    elif architecture in ARCHITECTURES:
        model = build_architecture(architecture, spec, n_findings)
        _load_weights(model, weights, architecture)
    else:
        known = ", ".join(sorted([*ARCHITECTURES, WHOLE_MODEL]))
        raise BundleError(f"There is no architecture '{architecture}'; there are {known}.")
    _check_shapes(model, weights, spec, n_findings)
    model.trainable = False
    return model


def in_mixed_precision(model: keras.Model, policy: str) -> keras.Model:
    """The same network computing in 16 bits, its variables in float32. `policy`: a Keras dtype policy."""

    def with_policy(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        config["dtype"] = policy
        return layer.__class__.from_config(config)

    # Cloning calls the function on layers, not on models inside models: nested ones are cloned in turn.
    mixed = keras.models.clone_model(model, clone_function=with_policy, recursive=True)
    mixed.set_weights(model.get_weights())
    mixed.trainable = False
    return mixed


def _load_weights(model: keras.Model, weights: Path, architecture: str) -> None:
    """Load by position; every variable is NaN before, so that none can keep its random start unnoticed."""
    require_contained(weights)
    for variable in model.weights:
        variable.assign(np.full(variable.shape, np.nan, np.float32))
    try:
        with warnings.catch_warnings():
            # Keras warns of containers that its own files lack; what is missing shows below.
            warnings.simplefilter("ignore")
            model.load_weights(weights)
    except Exception as error:  # h5py and Keras raise many kinds for a file that does not fit
        raise BundleError(f"{weights} does not fit {architecture}: {_one_line(error)}") from error
    unset = [v.path for v in model.weights if not np.isfinite(keras.ops.convert_to_numpy(v)).all()]
    if unset:
        raise BundleError(
            f"{weights} does not fit {architecture}: it leaves {len(unset)} arrays unset or NaN, "
            f"such as {unset[0]}."
        )


def _read_whole_model(path: Path) -> keras.Model:
    require_contained(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # the file may hold anything; every failure is a file that cannot be used
        raise BundleError(
            f"{path} cannot be loaded in Keras' safe mode (lambdas and custom layers are refused, as they "
            f"would run code from the file): {_one_line(error)}"
        ) from error


def _check_shapes(model: keras.Model, path: Path, spec: InputSpec, n_findings: int) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise BundleError(f"{path}: the network must have one input and one output.")
    expected = (spec.height, spec.width, spec.channels)
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or any(have not in (None, want) for have, want in zip(shape, expected, strict=True)):
        raise BundleError(f"{path}: the network takes inputs of {shape}, the card says {expected}.")
    outputs = tuple(model.outputs[0].shape[1:])
    if outputs != (n_findings,):
        raise BundleError(
            f"{path}: the network gives outputs of {outputs}, the card has {n_findings} findings."
        )


def _one_line(error: Exception) -> str:
    """Keras' messages run over many lines, with the cause among the first. Its advice to trust a file, and
    how to run what is in it, is not passed on."""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(str(error).split()))
    kept = [sentence for sentence in sentences if not re.search(r"unsafe|safe_mode|trust", sentence)]
    return " ".join(kept)[:300] or type(error).__name__
