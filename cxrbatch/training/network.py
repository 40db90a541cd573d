"""The network that training starts from, and which of its layers learn in which phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.architectures import WHOLE_MODEL, build_architecture
from cxrbatch.bundles.batch_norms import leaves, settle_batch_norms
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.golden import golden_input
from cxrbatch.bundles.head import NoPooledHeadError, pooled_head
from cxrbatch.bundles.network import in_mixed_precision, load_classifier
from cxrbatch.evaluation.delimited import fold
from cxrbatch.pipeline.input_spec import InputSpec
from cxrbatch.training.records import TrainingError

Phase = Literal["head", "deep"]

DEFAULT_ARCHITECTURE = "efficientnet-lite0"
_SETTLING_PICTURES = 16
_LAYER_KINDS_NEVER_TRAINED = (keras.layers.BatchNormalization, keras.layers.Normalization)


@dataclass(frozen=True)
class StartedNetwork:
    """A network to train.

    `classifier`: (n, height, width, channels) -> (n, k) probabilities, the bundle's own layers and nothing
    else: its weights are what a bundle is made of. `trainable`: the same layers and weights, -> (n, k) logits
    in float32, with dropout before the dense layer. `architecture` as on a card. `kept` findings have their
    row of the start's head, `new` ones have not; `dropped` ones of the start are left out (their old
    spelling).
    """

    classifier: keras.Model
    trainable: keras.Model
    architecture: str
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    new: tuple[str, ...]


@keras.saving.register_keras_serializable(package="cxrbatch")
class Logits(keras.layers.Layer):
    """What a dense layer gives before its sigmoid, in float32 whatever the policy; shares its weights."""

    def __init__(self, dense: keras.layers.Dense, **kwargs: Any) -> None:
        super().__init__(**{"name": "logits", **kwargs, "dtype": "float32"})
        self.dense = dense

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """(n, channels) -> (n, k)"""
        logits = keras.ops.matmul(keras.ops.cast(features, "float32"), self.dense.kernel)
        return logits if self.dense.bias is None else logits + self.dense.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(n, channels) -> (n, k)"""
        return (*input_shape[:-1], self.dense.units)

    def get_config(self) -> dict[str, Any]:
        """Everything to make it again."""
        return {**super().get_config(), "dense": keras.saving.serialize_keras_object(self.dense)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Logits:
        """The layer of `get_config`."""
        dense = keras.saving.deserialize_keras_object(config.pop("dense"))
        return cls(dense, **config)


def start_network(
    init: Bundle | None,
    spec: InputSpec,
    findings: tuple[str, ...],
    dropout: float,
    seed: int,
    policy: str = "float32",
) -> StartedNetwork:
    """The network of `init` with a head for `findings`; without `init` a random EfficientNet-Lite0.

    Findings are matched by name as in every table (case, spaces and underscores do not count), whatever
    their order. The row of a new finding is the mean of the start's rows: it starts at the mean logit of the
    known ones, about as rare as they are. Rows of a sigmoid head learn independently of each other, so equal
    ones need no noise to part.

    A random network is drawn from `seed`. As batch norms stay frozen (`set_phase`), those of a random
    network are set from synthetic pictures, or its activations would fade from layer to layer (compare
    Mishkin and Matas, arXiv:1511.06422). `policy` is a Keras dtype policy; variables are float32 in any.
    Under `tf.distribute` call it in the strategy's scope.

    Raises:
        TrainingError: the start's network cannot be given this head or input; the message says why.
        BundleError: its weights do not fit its card.
    """
    _check_names(findings, "The labels")
    architecture = DEFAULT_ARCHITECTURE
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    new = findings
    if init is None:
        keras.utils.set_random_seed(seed)
        classifier = build_architecture(architecture, spec, len(findings))
        pictures = [golden_input(spec, seed * _SETTLING_PICTURES + i) for i in range(_SETTLING_PICTURES // 2)]
        settle_batch_norms(classifier, np.concatenate(pictures))
    else:
        _check_names(init.card.findings, f"The bundle {init.card.name}")
        classifier = _with_head(init, spec, findings)
        architecture = init.card.architecture
        before, after = [{fold(name) for name in names} for names in (init.card.findings, findings)]
        kept = tuple(name for name in findings if fold(name) in before)
        new = tuple(name for name in findings if fold(name) not in before)
        dropped = tuple(name for name in init.card.findings if fold(name) not in after)
    if policy != "float32":
        classifier = in_mixed_precision(classifier, policy)
    trainable = trainable_form(classifier, dropout, seed)
    return StartedNetwork(classifier, trainable, architecture, kept, dropped, new)


def knows(init: Bundle, findings: Sequence[str]) -> bool:
    """Has the head of `init` a row for each of the findings? Names as in `start_network`."""
    known = {fold(name) for name in init.card.findings}
    return all(fold(name) in known for name in findings)


def set_phase(started: StartedNetwork, phase: Phase, unfreeze: float) -> None:
    """Say which layers learn: the head alone, or also the top share `unfreeze` of the backbone.

    The share is of the backbone's layers that have weights and could learn, in the network's order, rounded
    up. Batch norms never learn: a hospital's small batches would drown their statistics, and frozen they are
    in inference mode, so that training sees the network that will be served. Compile the model afterwards:
    Keras looks at this flag only then.
    """
    started.trainable.trainable = True
    layers = list(leaves(started.classifier))
    head = pooled_head(started.classifier).dense
    backbone = [layer for layer in layers if layer is not head]
    able = [x for x in backbone if x.weights and not isinstance(x, _LAYER_KINDS_NEVER_TRAINED)]
    count = 0 if phase == "head" else int(np.ceil(unfreeze * len(able) - 1e-9))
    learning = {id(layer) for layer in able[len(able) - count :]}
    for layer in backbone:
        layer.trainable = id(layer) in learning
    head.trainable = True


def _check_names(findings: tuple[str, ...], whose: str) -> None:
    seen: dict[str, str] = {}
    for name in findings:
        if fold(name) in seen:
            raise TrainingError(
                f"{whose} name one finding twice, '{seen[fold(name)]}' and '{name}': rename one of them."
            )
        seen[fold(name)] = name
    if not findings:
        raise TrainingError(f"{whose} name no finding: there is nothing to train.")


def _with_head(init: Bundle, spec: InputSpec, findings: tuple[str, ...]) -> keras.Model:
    """The network of `init` at the size of `spec`, its dense layer replaced by one for `findings`."""
    card = init.card
    if spec.channels != card.input.channels:
        raise TrainingError(
            f"The bundle {card.name} takes {card.input.channels} channels, not {spec.channels}: leave the "
            "number of channels as it is."
        )
    loaded = load_classifier(init)
    try:
        dense = pooled_head(loaded).dense
    except NoPooledHeadError as error:
        raise TrainingError(
            f"The bundle {card.name} cannot be trained further: {error} Start from a bundle whose network "
            "ends in global average pooling and one dense layer, or with --init none."
        ) from error
    kernel, bias = _rows(dense, card.findings, findings)
    if card.architecture == WHOLE_MODEL:
        _require_size(loaded, spec, card.name)
        new_dense = keras.layers.Dense(len(findings), activation="sigmoid", name=dense.name)
        classifier = keras.Model(loaded.input, new_dense(dense.input), name=loaded.name)
    else:
        classifier = build_architecture(card.architecture, spec, len(findings))
        new_dense = pooled_head(classifier).dense
        own, other = [
            [w for w in m.weights if not _of(w, d)] for m, d in ((loaded, dense), (classifier, new_dense))
        ]
        for source, target in zip(own, other, strict=True):
            target.assign(source)
    new_dense.kernel.assign(kernel)
    new_dense.bias.assign(bias)
    return classifier


def _of(variable: keras.Variable, layer: keras.Layer) -> bool:
    return any(variable is own for own in layer.weights)


def _rows(
    dense: keras.layers.Dense, before: tuple[str, ...], after: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel (channels, k) and bias (k,) for the findings `after`."""
    kernel = keras.ops.convert_to_numpy(dense.kernel)
    bias = np.zeros(len(before), np.float32)
    if dense.bias is not None:
        bias = keras.ops.convert_to_numpy(dense.bias)
    place = {fold(name): i for i, name in enumerate(before)}
    columns = [kernel[:, place[fold(n)]] if fold(n) in place else kernel.mean(axis=1) for n in after]
    biases = [bias[place[fold(n)]] if fold(n) in place else bias.mean() for n in after]
    return np.stack(columns, axis=1), np.array(biases, np.float32)


def _require_size(model: keras.Model, spec: InputSpec, name: str) -> None:
    height, width = model.inputs[0].shape[1:3]
    if height not in (None, spec.height) or width not in (None, spec.width):
        raise TrainingError(
            f"The bundle {name} is a whole model for inputs of {height} x {width}, not {spec.height} x "
            f"{spec.width}: leave `size` out."
        )


def trainable_form(classifier: keras.Model, dropout: float, seed: int) -> keras.Model:
    """Ends in logits; shares every variable with `classifier`."""
    dense = pooled_head(classifier).dense
    features = dense.input
    if dropout > 0.0:
        features = keras.layers.Dropout(dropout, seed=seed, name="training_dropout")(features)
    return keras.Model(classifier.input, Logits(dense)(features), name="trainable")
