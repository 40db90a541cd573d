"""Read a file that torch wrote, as numbers only: a state dict, or a checkpoint that holds one.

A whole pickled network is a program that runs when it is loaded. torch's own reader with
``weights_only=True`` rebuilds tensors, plain values and containers, and refuses all else before it is run.
"""

from __future__ import annotations

import importlib.util
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.weights_file import MAX_BYTES

if TYPE_CHECKING:
    import torch

StateDict = Mapping[str, "torch.Tensor"]

_MAX_PICKLE_BYTES = 64 << 20
_NESTED = ("state_dict", "model_state_dict", "model")
"""Where checkpoints keep their state dict."""

ANY_EXPORT = (
    "import torch; n = torch.load('FILE', map_location='cpu', weights_only=False); "
    "n = n.get('state_dict') or n.get('model') if isinstance(n, dict) else n; "
    "torch.save(n if isinstance(n, dict) else n.state_dict(), 'state.pt')"
)
"""Python that exports the state dict of a pickled network, or of a checkpoint that has one in it."""


def require_torch(path: Path) -> None:
    """Raise BundleError where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise BundleError(
            f"Reading {path} needs torch, to add the model and never to score with it: install the extra "
            "cxrbatch[torch], or add the model on a machine that has it and carry its folder over."
        )


def read_state_dict(path: Path, export: str = ANY_EXPORT) -> dict[str, torch.Tensor]:
    """The state dict in `path`: names to tensors, on the CPU, not yet looked at.

    Args:
        path: written by ``torch.save``, in today's format (a ZIP archive) or the one before torch 1.6.
        export: Python that exports a state dict from the original, for the message about a whole network.

    Raises:
        BundleError: torch is missing, the file holds more than numbers, or it is no file of torch's.
    """
    require_torch(path)
    _require_plausible(path, export)
    content = _load(path, export)
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    return _tensors(path, content)


def _load(path: Path, export: str) -> Any:
    import torch

    try:
        # Its warnings about pickles of another protocol are followed by a refusal of ours.
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        if any(words in str(error) for words in _REFUSALS):
            raise BundleError(_more_than_numbers(path, export)) from error
        raise BundleError(_unreadable(path, error)) from error
    except Exception as error:  # a damaged file can fail in any way within torch
        raise BundleError(_unreadable(path, error)) from error


_REFUSALS = (
    "Unsupported global",
    "unsupported GLOBAL",
    "Unsupported operand",
    "Trying to call reduce",
    "Can only",
    "Only persistent_load of storage",
    "must be imported",
    "TorchScript",
)
"""Words of torch's refusals, of pickled objects and of TorchScript; any other error is damage."""


def _more_than_numbers(path: Path, export: str) -> str:
    if not set(str(path)) & set("'\"\\$`"):  # the line is to be pasted into a shell
        export = export.replace("'FILE'", f"'{path}'")
    return (
        f"{path} holds more than numbers: a whole pickled network is a program that runs when it is loaded, "
        "and is never opened here. If you trust its source, export the state dict where the network's own "
        f'code is installed, with python -c "{export}", and add state.pt.'
    )


def _unreadable(path: Path, error: Exception) -> str:
    cause = " ".join(str(error).split())
    # torch's advice to load the file all the same is not passed on.
    return f"{path} cannot be read as a file of torch: {type(error).__name__}: {_first_words(cause)}."


def _first_words(cause: str) -> str:
    if "WeightsUnpickler error:" in cause:
        cause = cause.partition("WeightsUnpickler error:")[2].strip()
    return cause.partition(" Please use ")[0].partition(" Check the documentation")[0][:160].rstrip(".")


def _require_plausible(path: Path, export: str) -> None:
    """Before torch takes memory: the kind of file, and sizes it can hold. torch never compresses."""
    with path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise BundleError(f"{path} is empty: fetch it again.")
    if not head.startswith(b"PK\x03\x04"):
        if head[0] != 0x80:
            raise BundleError(f"{path} is no file of torch's: it is neither a ZIP archive nor a pickle.")
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as error:
        raise BundleError(f"{path} cannot be read as a file of torch: {error}; is it cut off?") from error
    if any(member.filename.endswith("/constants.pkl") for member in members):  # TorchScript
        raise BundleError(_more_than_numbers(path, export))
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise BundleError(f"{path} is a compressed archive, and torch writes none: it is not of torch.")
    pickles = sum(member.file_size for member in members if member.filename.endswith(".pkl"))
    if sum(member.file_size for member in members) > MAX_BYTES or pickles > _MAX_PICKLE_BYTES:
        raise BundleError(f"{path} is larger than any network that is read here ({MAX_BYTES >> 30} GiB).")


def _tensors(path: Path, content: object) -> dict[str, torch.Tensor]:
    import torch

    if not isinstance(content, Mapping) or not content:
        raise BundleError(f"{path} holds no state dict: expected names with tensors, and found none.")
    odd = [key for key, value in content.items() if not (isinstance(key, str) and torch.is_tensor(value))]
    if odd:
        raise BundleError(f"{path} holds no state dict: {ascii(str(odd[0]))[:80]} is no tensor with a name.")
    return dict(content)
