from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from cxrbatch.bundles.adding import add_bundle
from cxrbatch.bundles.architectures import build_architecture
from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.golden import read_golden
from cxrbatch.bundles.network import load_classifier
from cxrbatch.bundles.presets import PRESETS
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

layers = keras.layers
FINDINGS = ("Effusion", "Mass", "Nodule")
SPEC = InputSpec(height=32, width=32, channels=3, scaling=Scaling.UNIT)


def _network(*head: layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(5)
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    for layer in head or (layers.GlobalAveragePooling2D(), layers.Dense(3, activation="sigmoid")):
        x = layer(x)
    return keras.Model(inputs, x)


def _save(model: keras.Model, path: Path) -> Path:
    model.save(path)
    return path


def randomise(model: keras.Model, seed: int) -> None:
    """Weights and batch-norm statistics that no two layers share, so that a swapped layer shows."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            layer.set_weights(
                [
                    random.uniform(0.8, 1.2, n),
                    random.normal(0, 0.1, n),
                    random.normal(0, 0.1, n),
                    random.uniform(0.8, 1.2, n),
                ]
            )
        elif layer.weights:
            layer.set_weights([w + random.normal(0, 0.01, w.shape) for w in layer.get_weights()])


def write_legacy_h5(model: keras.Model, path: Path) -> None:
    """The file that tf.keras 2's ``save_weights("x.h5")`` wrote, layer names with a slash and all."""
    with h5py.File(path, "w") as file:
        names = []
        for layer in model.layers:
            old = layer.name.replace("_bn", "/bn").replace("_conv", "/conv")
            names.append(old.encode())
            group = file.create_group(old) if old not in file else file[old]
            parts = [f"{old}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = np.array([p.encode() for p in parts], dtype="S")
            for part, value in zip(parts, layer.get_weights(), strict=True):
                group.create_dataset(part, data=value)
        file.attrs["layer_names"] = np.array(names, dtype="S")
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.2.4-tf"


@pytest.fixture(scope="module")
def chexnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """A DenseNet121 with random statistics, and its weights as a legacy file."""
    model = build_architecture("densenet121", PRESETS["chexnet-keras"].input, 14)
    randomise(model, seed=11)
    path = tmp_path_factory.mktemp("legacy") / "weights.h5"
    write_legacy_h5(model, path)
    return model, path


def test_a_legacy_file_gives_the_outputs_it_was_saved_with(chexnet: tuple[keras.Model, Path]) -> None:
    model, path = chexnet

    bundle = add_bundle(path, "chexnet", preset="chexnet-keras")

    assert bundle.card.findings[:2] == ("Atelectasis", "Cardiomegaly")
    assert bundle.card.input.scaling is Scaling.IMAGENET
    assert bundle.card.heat_maps
    assert "Not chosen" in bundle.card.thresholds_method
    golden = read_golden(bundle)
    expected = np.asarray(model(golden.input, training=False))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(golden.probabilities, expected, atol=1e-7)


def test_a_legacy_file_with_a_layer_missing_is_refused(
    chexnet: tuple[keras.Model, Path], tmp_path: Path
) -> None:
    path = tmp_path / "short.h5"
    path.write_bytes(chexnet[1].read_bytes())
    with h5py.File(path, "a") as file:
        names = list(file.attrs["layer_names"])
        file.attrs["layer_names"] = np.array([n for n in names if n != b"conv5_block16_2/conv"], dtype="S")

    with pytest.raises(BundleError, match="does not fit densenet121"):
        add_bundle(path, "short", preset="chexnet-keras")


def test_a_preset_with_another_number_of_findings_is_refused(tmp_path: Path) -> None:
    model = build_architecture("densenet121", PRESETS["chexnet-keras"].input, 15)
    path = tmp_path / "fifteen.h5"
    write_legacy_h5(model, path)

    with pytest.raises(BundleError, match=r"fifteen\.h5 does not fit densenet121.*\(1024, 15\)"):
        add_bundle(path, "fifteen", preset="coursera-nih")


def test_presets_list_the_fourteen_findings_of_chestxray14() -> None:
    coursera, chexnet = (PRESETS[name].findings for name in ("coursera-nih", "chexnet-keras"))

    assert len(coursera) == len(set(coursera)) == 14
    assert set(coursera) == set(chexnet)
    assert coursera != chexnet


def test_weights_of_a_named_architecture(tmp_path: Path) -> None:
    spec = InputSpec(height=64, width=64, channels=3, scaling=Scaling.IMAGENET)
    model = build_architecture("efficientnet-lite0", spec, 3)
    randomise(model, seed=2)
    model.save_weights(tmp_path / "mine.weights.h5")

    bundle = add_bundle(
        tmp_path / "mine.weights.h5",
        "mine",
        architecture="efficientnet-lite0",
        findings=FINDINGS,
        input_spec=spec,
    )

    golden = read_golden(bundle)
    np.testing.assert_allclose(golden.probabilities, np.asarray(model(golden.input)), atol=1e-6)
    assert open_bundle("mine").sha256 == bundle.sha256


def test_weights_that_leave_a_layer_out_are_refused(tmp_path: Path) -> None:
    spec = InputSpec(height=64, width=64, channels=3, scaling=Scaling.IMAGENET)
    model = build_architecture("efficientnet-lite0", spec, 3)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, np.full_like(bias, np.nan)])
    path = tmp_path / "mine.weights.h5"
    model.save_weights(path)

    with pytest.raises(BundleError, match=r"1 arrays unset or NaN, such as findings/bias"):
        add_bundle(path, "mine", architecture="efficientnet-lite0", findings=FINDINGS, input_spec=spec)

    with h5py.File(path, "a") as file:
        del file["layers/conv2d/vars"]
    with pytest.raises(BundleError, match="does not fit efficientnet-lite0") as caught:
        add_bundle(path, "mine", architecture="efficientnet-lite0", findings=FINDINGS, input_spec=spec)
    assert len(str(caught.value).splitlines()) == 1


def test_a_whole_model_keeps_its_outputs_and_has_heat_maps(tmp_path: Path) -> None:
    model = _network()
    bundle = add_bundle(_save(model, tmp_path / "m.keras"), "mine", findings=FINDINGS, input_spec=SPEC)

    assert bundle.card.architecture == "keras"
    assert bundle.card.heat_maps
    picture = np.random.default_rng(0).random((1, 32, 32, 3), dtype=np.float32)
    np.testing.assert_allclose(load_classifier(bundle)(picture), model(picture), atol=1e-7)


def test_a_whole_model_with_another_head_says_it_has_no_heat_maps(tmp_path: Path) -> None:
    model = _network(layers.Flatten(), layers.Dense(3, activation="sigmoid"))

    bundle = add_bundle(_save(model, tmp_path / "m.keras"), "flat", findings=FINDINGS, input_spec=SPEC)

    assert not bundle.card.heat_maps


def _with_lambda() -> keras.Model:
    return _network(
        layers.Lambda(lambda x: x * 2.0),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="sigmoid"),
    )


class Unregistered(layers.Layer):
    def call(self, x: object) -> object:
        return x


def _with_custom_layer() -> keras.Model:
    return _network(Unregistered(), layers.GlobalAveragePooling2D(), layers.Dense(3, activation="sigmoid"))


def _with_nan() -> keras.Model:
    model = _network()
    kernel, bias = model.layers[-1].get_weights()
    kernel[0, 0] = np.nan
    model.layers[-1].set_weights([kernel, bias])
    return model


def _with_activation(activation: str, bias: float = 0.0) -> keras.Model:
    dense = layers.Dense(
        3, activation=activation, bias_initializer=keras.initializers.Constant(bias), name="last"
    )
    return _network(layers.GlobalAveragePooling2D(), dense)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (_with_lambda, "safe mode"),
        (_with_custom_layer, "safe mode"),
        (_with_nan, "NaN"),
        (lambda: _with_activation("softmax"), "softmax"),
        (lambda: _with_activation("linear", bias=3.0), "no probabilities"),
        (
            lambda: _network(layers.GlobalAveragePooling2D(), layers.Dense(4, activation="sigmoid")),
            "3 findings",
        ),
        (lambda: _network(layers.Dense(3, activation="sigmoid")), "outputs"),
    ],
)
def test_a_whole_model_that_does_not_fit_is_refused_with_the_reason(
    tmp_path: Path, build: Callable[[], keras.Model], reason: str
) -> None:
    path = _save(build(), tmp_path / "m.keras")

    with pytest.raises(BundleError, match=reason):
        add_bundle(path, "mine", findings=FINDINGS, input_spec=SPEC)

    assert not list((tmp_path / "data").rglob("*.json"))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m.h5"])
def test_a_pickle_is_called_one_and_never_opened(tmp_path: Path, name: str, protocol: int) -> None:
    path, ran = tmp_path / name, tmp_path / "ran"
    path.write_bytes(pickle.dumps(_Touch(ran), protocol))

    with pytest.raises(BundleError, match=r"is a Python pickle.*never opened"):
        add_bundle(path, "mine", None, "densenet121" if "h5" in name else None, FINDINGS, SPEC)

    assert not ran.exists()


class _Touch:
    """A pickle of this makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "by its name it is a Keras archive, but it is empty"),
        (b"\x89HDF\r\n\x1a\n and so on", "by its name it is a Keras archive, but it is an HDF5 file"),
        (b"weights", "by its name it is a Keras archive, but it is something else"),
    ],
)
def test_a_file_that_is_not_what_it_is_named_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(content)

    with pytest.raises(BundleError, match=reason):
        add_bundle(path, "mine", findings=FINDINGS, input_spec=SPEC)


@pytest.mark.parametrize("build", [_with_lambda, _with_custom_layer])
@pytest.mark.parametrize("looked_into", [True, False], ids=["by us", "by Keras"])
def test_a_refusal_does_not_say_how_to_run_the_code_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: Callable[[], keras.Model], looked_into: bool
) -> None:
    path = _save(build(), tmp_path / "m.keras")
    if not looked_into:
        monkeypatch.setattr("cxrbatch.bundles.network.require_contained", lambda _: None)

    with pytest.raises(BundleError, match="safe mode") as caught:
        add_bundle(path, "mine", findings=FINDINGS, input_spec=SPEC)

    message = str(caught.value)
    assert not re.search("unsafe|safe_mode|trust", message), message


def test_another_input_size_is_refused(tmp_path: Path) -> None:
    path = _save(_network(), tmp_path / "m.keras")

    with pytest.raises(BundleError, match=r"\(32, 32, 3\).*\(64, 32, 3\)"):
        add_bundle(path, "mine", findings=FINDINGS, input_spec=SPEC.model_copy(update={"height": 64}))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"preset": "chexnet"}, "coursera-nih"),
        ({"preset": "chexnet-keras", "findings": FINDINGS}, "leave them out"),
        ({}, "weights only: name a preset .--preset: .*--architecture: "),
        ({"architecture": "densenet121"}, "findings in order.*--findings.*and.*--size"),
        (
            {"architecture": "densenet121", "findings": FINDINGS},
            r"without a preset, say the input's .*--size",
        ),
        ({"architecture": "densenet121", "input_spec": SPEC}, r"--findings NAME,NAME\)\.$"),
        ({"architecture": "resnet", "findings": FINDINGS, "input_spec": SPEC}, "no architecture 'resnet'"),
        (
            {"architecture": "densenet121", "findings": FINDINGS, "input_spec": SPEC},
            "cannot be read as a weights file",
        ),
    ],
)
def test_what_is_said_of_a_weights_file_must_be_enough_and_right(
    tmp_path: Path, arguments: dict[str, object], reason: str
) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(b"not an HDF5 file")

    with pytest.raises(BundleError, match=reason):
        add_bundle(path, "mine", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["../mine", "", ".hidden", "a/b", "x" * 65])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    path = _save(_network(), tmp_path / "m.keras")

    with pytest.raises(BundleError, match="no name for a model"):
        add_bundle(path, name, findings=FINDINGS, input_spec=SPEC)


def test_a_name_in_use_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    path = _save(_network(), tmp_path / "m.keras")

    with pytest.raises(BundleError, match="already a model 'cxr-lite'"):
        add_bundle(path, "cxr-lite", findings=FINDINGS, input_spec=SPEC)
    with pytest.raises(BundleError, match="no file"):
        add_bundle(tmp_path / "none.h5", "mine", preset="chexnet-keras")
