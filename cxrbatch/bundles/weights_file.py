"""Looking into a weights file before Keras does: a model is code, and its file may come from anywhere.

Keras' safe mode refuses lambdas. What is refused here besides: layers that run or read something of the
machine's, archives with more in them than a model, HDF5 files that lead out of themselves, and declared sizes
that no file of that length can hold.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cxrbatch.bundles.errors import BundleError

MAX_BYTES = 4 << 30
"""Most bytes of all arrays of a network together; the largest chest networks have some hundred million."""

_MAX_CONFIG_BYTES = 64 << 20
_MAX_EXPANSION = 100
_SMALL = 64 << 20
_MEMBERS = {"config.json": _MAX_CONFIG_BYTES, "metadata.json": 1 << 20, "model.weights.h5": MAX_BYTES}
_FORBIDDEN_CLASSES = frozenset(
    {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}  # code in the file or beside it
    | {"StringLookup", "IntegerLookup", "TextVectorization"}  # read vocabularies from paths in the file
)
_FUNCTION_LIST = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign
    sparse_plus sparsemax squareplus swish tanh tanh_shrink threshold
"""
_FUNCTIONS = frozenset(_FUNCTION_LIST.split())
_PLAIN_CLASSES = frozenset({"__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__keras_tensor__"})
"""Keras' own words for values that are no objects."""


def require_contained(path: Path) -> None:
    """Check that a ``.keras``, ``.weights.h5`` or ``.h5`` file holds a network and nothing else.

    Raises:
        BundleError: it holds something that could run, reach another file, or fill the memory.
    """
    try:
        _require_kind(path)
        if path.suffix == ".keras":
            _require_archive(path)
        else:
            _require_arrays(path, path)
    except (OSError, ValueError, KeyError, RuntimeError, RecursionError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} cannot be read as a weights file: {_one_line(error)}.") from error


_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
"""Protocols 2 to 5 begin with the opcode PROTO and their number."""


def _require_kind(path: Path) -> None:
    """Its name decides how a file is read, so it must be what it is named."""
    with path.open("rb") as file:
        head = file.read(16)
    expected, what = (_ZIP, "a Keras archive") if path.suffix == ".keras" else (_HDF5, "an HDF5 file")
    if head.startswith(expected):
        return
    if _PICKLE.match(head):
        raise BundleError(
            f"{path} is a Python pickle, not {what}: a pickle is a program that runs when it is loaded, and "
            "is never opened. Save the network with Keras as .keras or .weights.h5."
        )
    found = "is empty"
    if head:
        known = {_ZIP: "is a ZIP archive", _HDF5: "is an HDF5 file"}
        found = next((says for magic, says in known.items() if head.startswith(magic)), "is something else")
    raise BundleError(f"{path} cannot be read as a weights file: by its name it is {what}, but it {found}.")


def _require_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if sorted(names) != sorted(_MEMBERS):
            odd = sorted(set(names) - set(_MEMBERS)) or names
            raise BundleError(
                f"{path}: a .keras file holds {', '.join(_MEMBERS)}, each once, and nothing else; "
                f"this one holds {_quoted(odd[0]) if odd else 'nothing'}."
            )
        for member in members:
            if member.file_size > min(_MEMBERS[member.filename], _most(member.compress_size)):
                raise BundleError(
                    f"{path}: '{member.filename}' would unpack to {member.file_size:,} bytes, too many."
                )
        config = json.loads(archive.read("config.json"))
        if isinstance(config, dict):
            config.pop("compile_config", None)  # how it was trained: never loaded
        _require_known_layers(path, config)
        with TemporaryDirectory(prefix="cxrbatch-weights-") as folder:
            weights = Path(archive.extract("model.weights.h5", folder))
            _require_arrays(weights, path)


def _most(stored: int) -> int:
    """The largest size that `stored` compressed bytes may claim."""
    return max(_SMALL, _MAX_EXPANSION * stored)


def _require_known_layers(path: Path, config: object) -> None:
    """Every object of the configuration must be one of Keras' own that only computes."""
    for item in _objects(config):
        name, module = str(item["class_name"]), item.get("module")
        if name == "function":
            if str(item.get("config")) not in _FUNCTIONS:
                raise BundleError(
                    f"{path} asks for the function {_quoted(item.get('config'))}: only activations of Keras."
                )
        elif name in _FORBIDDEN_CLASSES:
            raise BundleError(
                f"{path} has a layer '{name}', which would run or read something from outside the model: "
                "save the network without it (safe mode)."
            )
        elif name not in _PLAIN_CLASSES and not _is_of_keras(module):
            raise BundleError(
                f"{path} has an object {_quoted(name)} of {_quoted(module)}, which is not one of Keras: "
                "custom layers would run code (safe mode)."
            )


_PLAIN_CLASSES = frozenset(
    {"__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__keras_tensor__", "slice"}
)


def _is_of_keras(module: object) -> bool:
    return isinstance(module, str) and (module == "keras" or module.startswith("keras."))


def _objects(config: object) -> Iterator[dict[str, Any]]:
    """Every part of a configuration that names a class, at any depth."""
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _require_arrays(path: Path, shown: Path) -> None:
    """An HDF5 file of plain arrays: no links out of it or in circles, no more bytes than it can hold."""
    import h5py

    total, seen, stack = 0, set(), ["/"]
    with h5py.File(path, "r") as file:
        while stack:
            name = stack.pop()
            group = file[name]
            for key in group:
                where = f"{name.rstrip('/')}/{key}"
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                    raise BundleError(f"{shown}: {_quoted(where)} is a link to another place: no weights.")
                item = group[key]
                address = h5py.h5o.get_info(item.id).addr
                if address in seen:
                    raise BundleError(f"{shown}: {_quoted(where)} leads back into the file: no weights.")
                seen.add(address)
                if isinstance(item, h5py.Group):
                    stack.append(where)
                elif isinstance(item, h5py.Dataset):
                    total += _array_bytes(item, where, shown)
    if total > min(MAX_BYTES, _most(path.stat().st_size)):
        raise BundleError(f"{shown} declares arrays of {total:,} bytes, more than it can hold.")


def _array_bytes(item: Any, where: str, shown: Path) -> int:
    """The declared size of a dataset whose numbers lie in this very file."""
    if item.external or item.is_virtual:
        raise BundleError(f"{shown}: the numbers of {_quoted(where)} lie in another file.")
    if item.dtype.kind not in "fiub" and item.dtype.itemsize != 2:  # bfloat16 is two opaque bytes
        raise BundleError(f"{shown}: {_quoted(where)} is no array of numbers ({item.dtype}).")
    count = 1
    for length in item.shape or ():
        count *= int(length)
    return count * int(item.dtype.itemsize)


def _quoted(value: object) -> str:
    return ascii(str(value))[:120]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
