"""Files that would run code, read other files or fill the memory, each crafted for real and refused."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from cxrbatch.bundles import golden
from cxrbatch.bundles.bundle import Bundle, open_bundle, read_card, write_sums
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.golden import read_golden
from cxrbatch.bundles.network import read_network
from cxrbatch.bundles.weights_file import require_contained
from cxrbatch.pipeline.input_spec import InputSpec, Scaling

SPEC = InputSpec(height=32, width=32, channels=3, scaling=Scaling.UNIT)
RAN: list[object] = []
Change = Callable[[dict[str, Any]], None]


def load(path: Path) -> keras.Model:
    return read_network(path, "keras", SPEC, 3)


def repacked(
    original: Path, path: Path, change: Change | None = None, more: dict[str, bytes] | None = None
) -> Path:
    """The .keras file with a changed configuration, and with more members."""
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json" and change is not None:
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            new.writestr(name, data)
        for name, data in (more or {}).items():
            new.writestr(name, data)
    return path


def with_layer(layer: dict[str, Any]) -> Change:
    """Puts a layer of this class in the place of the first convolution."""

    def change(config: dict[str, Any]) -> None:
        for old in config["config"]["layers"]:
            if old["class_name"] == "Conv2D":
                old["config"]["name"], name = "conv2d", old["config"]["name"]
                old |= layer
                old["config"] = {"name": name, **layer["config"]}
                return

    return change


def test_an_honest_file_is_let_through(tiny_file: Path) -> None:
    require_contained(tiny_file)
    assert load(tiny_file).output_shape == (None, 3)


def test_a_compiled_model_is_let_through(tiny_file: Path, tmp_path: Path) -> None:
    model = keras.models.load_model(tiny_file)
    model.compile("adam", keras.losses.binary_crossentropy)
    model.save(tmp_path / "compiled.keras")
    require_contained(tmp_path / "compiled.keras")


def test_a_lambda_is_refused_and_does_not_run(tmp_path: Path) -> None:
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(lambda v: RAN.append(v) or v)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid")(x)).save(tmp_path / "l.keras")
    RAN.clear()
    with pytest.raises(BundleError, match=r"safe mode|only activations"):
        load(tmp_path / "l.keras")
    assert RAN == []


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}},
        {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        {"module": "os", "class_name": "system", "config": {"command": "touch ran"}},
        {"module": "builtins", "class_name": "eval", "config": {"x": "1"}},
        {"module": "kerasx.evil", "class_name": "Dense", "config": {}},
        {"module": "builtins", "class_name": "function", "config": {"name": "system"}},
    ],
)
def test_objects_that_are_not_plain_layers_are_refused(
    tiny_file: Path, tmp_path: Path, layer: dict[str, Any]
) -> None:
    with pytest.raises(BundleError, match=r"safe mode|only activations"):
        load(repacked(tiny_file, tmp_path / "evil.keras", with_layer(layer)))


def test_a_function_hidden_in_a_setting_is_refused(tiny_file: Path, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        hidden = {"module": "builtins", "class_name": "function", "config": "get_file"}
        config["config"]["layers"][1]["config"]["activation"] = hidden

    with pytest.raises(BundleError, match=r"get_file.*only activations"):
        load(repacked(tiny_file, tmp_path / "evil.keras", change))


@pytest.mark.parametrize(
    "name", ["../../evil.py", "/tmp/evil.py", "assets/../../../evil", "assets/x.txt", "a.pkl"]
)
def test_an_archive_with_anything_else_in_it_is_refused(tiny_file: Path, tmp_path: Path, name: str) -> None:
    path = repacked(tiny_file, tmp_path / "more.keras", more={name: pickle.dumps(os.getcwd)})
    with pytest.raises(BundleError, match="nothing else"):
        load(path)
    assert not (tmp_path.parent / "evil.py").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(tiny_file: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="each once"):
        load(repacked(tiny_file, tmp_path / "twice.keras", more={"config.json": b"{}"}))


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tiny_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(tiny_file) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in ("metadata.json", "config.json"):
            new.writestr(name, old.read(name))
        with new.open("model.weights.h5", "w") as stream:
            for _ in range(128):
                stream.write(bytes(1 << 20))
    with pytest.raises(BundleError, match=r"model\.weights\.h5' would unpack to 134,217,728"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n" + bytes(50)])
@pytest.mark.parametrize("name", ["w.keras", "w.weights.h5", "w.h5"])
def test_junk_is_refused_with_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BundleError, match="cannot be read as a weights file"):
        require_contained(tmp_path / name)


@pytest.mark.parametrize("name", ["w.keras", "w.weights.h5", "w.h5"])
def test_a_pickle_is_named_as_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(BundleError, match=r"is a Python pickle, .* never opened"):
        require_contained(tmp_path / name)


def _external_link(file: h5py.File, secret: Path) -> None:
    file["layers/x"] = h5py.ExternalLink(str(secret), "/data")


def _soft_link(file: h5py.File, secret: Path) -> None:
    file["layers/x"] = h5py.SoftLink("/layers")


def _circle(file: h5py.File, secret: Path) -> None:
    inner = file.create_group("layers/a")
    inner["back"] = file["layers"]


def _external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("layers/x", (100,), "f4", external=[(str(secret), 0, 400)])


def _virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((100,), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "data", (100,))
    file.create_virtual_dataset("layers/x", layout)


def _objects(file: h5py.File, secret: Path) -> None:
    file.create_dataset("layers/x", (3,), h5py.string_dtype())


def _huge(file: h5py.File, secret: Path) -> None:
    file.create_dataset("layers/x", (1 << 40,), "f4", chunks=(1 << 20,))


@pytest.mark.parametrize(
    ("craft", "said"),
    [
        (_external_link, "is a link to another place"),
        (_soft_link, "is a link to another place"),
        (_circle, "leads back into the file"),
        (_external_storage, "lie in another file"),
        (_virtual, "lie in another file"),
        (_objects, "no array of numbers"),
        (_huge, "more than it can hold"),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_an_h5_file_that_leads_elsewhere_is_refused(
    tiny_file: Path, tmp_path: Path, craft: Callable[[h5py.File, Path], None], said: str, whole: bool
) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["data"] = np.arange(100, dtype="f4")
    weights = tmp_path / "w.weights.h5"
    with h5py.File(weights, "w") as file:
        craft(file, secret)
    path = weights
    if whole:
        path = tmp_path / "whole.keras"
        with zipfile.ZipFile(tiny_file) as old, zipfile.ZipFile(path, "w") as new:
            for name in ("metadata.json", "config.json"):
                new.writestr(name, old.read(name))
            new.write(weights, "model.weights.h5")
    with pytest.raises(BundleError, match=said):
        require_contained(path)


def test_an_attribute_with_a_type_of_its_own_does_not_matter(tmp_path: Path) -> None:
    """Legacy files keep the names of their layers in attributes, as text."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"a", b"b"]
        file["a/kernel:0"] = np.zeros(3, "f4")
    require_contained(tmp_path / "w.h5")


def _card(bundle: Bundle, **changed: object) -> Path:
    path = bundle.folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    return bundle.folder


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"input": {"height": 10**9, "width": 32, "channels": 3, "scaling": "unit"}}, "input.height"),
        ({"input": {"height": 32, "width": 32, "channels": 10**6, "scaling": "unit"}}, "input.channels"),
        ({"weights": {"file": "../../etc/passwd", "sha256": "0" * 64}}, "not a path"),
        ({"weights": {"file": "/etc/passwd", "sha256": "0" * 64}}, "not a path"),
        ({"name": "../evil"}, "name"),
        ({"findings": [f"F{n}" for n in range(5000)]}, "findings"),
        ({"findings": ["a\x1b[31m", "b", "c"]}, "findings"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(
    tiny_bundle: Bundle, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(BundleError, match=said):
        open_bundle(_card(tiny_bundle, **changed))


def test_a_card_of_a_hundred_megabytes_is_not_read(tiny_bundle: Bundle) -> None:
    os.truncate(tiny_bundle.folder / "card.json", 100 << 20)
    with pytest.raises(BundleError, match="64 MiB"):
        read_card(tiny_bundle.folder)


def _npz(path: Path, **arrays: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in arrays.items():
            archive.writestr(f"{name}.npy", data)


def _npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    data = io.BytesIO()
    np.lib.format.write_array(data, array, allow_pickle=allow_pickle)
    return data.getvalue()


class Runs:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch unpickled",)


def test_a_golden_pair_of_objects_is_never_unpickled(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = _npy(np.array([Runs()], dtype=object), allow_pickle=True)
    _npz(tiny_bundle.golden_path, input=evil, probabilities=evil)
    write_sums(tiny_bundle.folder)
    with pytest.raises(BundleError, match="cannot be read as a golden pair"):
        read_golden(open_bundle(tiny_bundle.folder))
    assert not (tmp_path / "unpickled").exists()


def test_a_golden_pair_that_unfolds_is_refused(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    np.lib.format.write_array_header_1_0(declared, header)
    _npz(tiny_bundle.golden_path, input=declared.getvalue())
    with pytest.raises(BundleError, match="does not hold them"):
        read_golden(tiny_bundle)
    monkeypatch.setattr(golden, "MAX_GOLDEN_BYTES", 1000)
    _npz(tiny_bundle.golden_path, input=_npy(np.zeros(1000, "f4")))
    with pytest.raises(BundleError, match="would unpack to"):
        read_golden(tiny_bundle)


def test_a_bundle_with_swapped_weights_is_refused_even_with_new_sums(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    """Whoever changes weights and sums alike still meets the card's own digest, and then the golden pair."""
    shutil.copy(tiny_bundle.weights_path, tmp_path / "old")
    data = bytearray(tiny_bundle.weights_path.read_bytes())
    data[-100] ^= 1
    tiny_bundle.weights_path.write_bytes(data)
    write_sums(tiny_bundle.folder)
    with pytest.raises(BundleError, match="SHA-256 expected"):
        open_bundle(tiny_bundle.folder)
