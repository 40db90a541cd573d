"""The OpenVINO form of a bundle: exported once by Keras, kept beside the bundle, verified at every load.

A cache entry is a folder ``<bundle>/.openvino/<key>/`` with ``model.xml``, ``model.bin`` and
``SHA256SUMS``; the key is a hash of the bundle and of every version that has a say. Where the bundle's
folder cannot be written, ``$XDG_CACHE_HOME/cxrbatch/openvino/<key>/`` takes its place.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.film_check import Tap, read_film_check

_log = logging.getLogger(__name__)

_LAYOUT = 1
"""Raise it when the exported graph changes for the same bundle (its outputs, for instance)."""

_FILES = ("model.xml", "model.bin")
_SUMS = "SHA256SUMS"


def exported_model(bundle: Bundle) -> tuple[bytes, bytes]:
    """``model.xml`` and ``model.bin`` of the bundle's scoring model, from the cache or a new export.

    An export takes some 20 seconds and is the only step that needs Keras. Any number of processes may
    do this at once: each writes a folder of its own and renames it into place, and the last finds that
    it was not needed.
    """
    key = cache_key(bundle)
    for folder in _cache_folders(bundle, key):
        content = _read(folder)
        if content is not None:
            return content
    check = read_film_check(bundle)
    exported = export(bundle, None if check is None else check.tap)
    for folder in _cache_folders(bundle, key):
        if _store(folder, exported):
            return exported
    _log.warning(
        "The OpenVINO form of '%s' could not be cached; it is made again next time.", bundle.card.name
    )
    return exported


def cache_key(bundle: Bundle) -> str:
    """Names the cache entry: a hash of the bundle's hash and the versions that make the export."""
    parts = [bundle.sha256, str(_LAYOUT)]
    parts += [f"{package} {version(package)}" for package in ("keras", "tensorflow", "openvino")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def import_openvino() -> Any:
    """The ``openvino`` module, without its telemetry: importing it would otherwise report to its maker.

    OpenVINO falls back to a silent stub where the package ``openvino_telemetry`` cannot be imported
    (``openvino/tools/ovc/telemetry_utils.py``), so it is made unimportable in this process.
    """
    import sys

    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _cache_folders(bundle: Bundle, key: str) -> list[Path]:
    base = os.environ.get("XDG_CACHE_HOME")
    home = Path(base) if base else Path.home() / ".cache"
    return [bundle.folder / ".openvino" / key, home / "cxrbatch" / "openvino" / key]


def _read(folder: Path) -> tuple[bytes, bytes] | None:
    """The two files, if they are whole: what was hashed is what is returned, so no one can slip between."""
    try:
        xml, weights = ((folder / name).read_bytes() for name in _FILES)
        sums = (folder / _SUMS).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    if sums != _sums((xml, weights)):
        _log.warning("%s is damaged and is made again.", folder)
        return None
    return xml, weights


def _sums(content: tuple[bytes, bytes]) -> str:
    lines = (
        f"{hashlib.sha256(part).hexdigest()}  {name}\n" for name, part in zip(_FILES, content, strict=True)
    )
    return "".join(lines)


def export(bundle: Bundle, tap: Tap | None) -> tuple[bytes, bytes]:
    """``model.xml`` and ``model.bin`` of the bundle's scoring model, made anew, with that tap."""
    import_openvino()
    import keras

    from cxrbatch.bundles.network import load_classifier
    from cxrbatch.scoring.heatmaps import scoring_model

    spec = bundle.card.input
    model = scoring_model(load_classifier(bundle), tap)
    signature = [keras.InputSpec(shape=(None, spec.height, spec.width, spec.channels), dtype="float32")]
    _log.info("Preparing '%s' for OpenVINO, once; this takes about 20 seconds.", bundle.card.name)
    with tempfile.TemporaryDirectory(prefix="cxrbatch-openvino-") as folder:
        path = Path(folder) / _FILES[0]
        model.export(str(path), format="openvino", verbose=False, input_signature=signature)
        xml, weights = ((Path(folder) / name).read_bytes() for name in _FILES)
    return xml, weights


def _store(folder: Path, content: tuple[bytes, bytes]) -> bool:
    """Put `content` into `folder` in one step; False where that may not be written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    except OSError:
        return False
    try:
        for name, part in zip(_FILES, content, strict=True):
            (draft / name).write_bytes(part)
        (draft / _SUMS).write_text(_sums(content), encoding="ascii")
        draft.chmod(0o755)  # a model is nobody's secret, whatever the umask that keeps outputs private
        for file in draft.iterdir():
            file.chmod(0o644)
        _move_into_place(draft, folder)
    except OSError:
        return False
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def _move_into_place(draft: Path, folder: Path) -> None:
    """Rename `draft` to `folder`; a whole entry already there stays, a damaged one goes."""
    try:
        draft.rename(folder)
        return
    except OSError:
        if not folder.is_dir():
            raise
    if _read(folder) is None:
        damaged = Path(tempfile.mkdtemp(prefix=".damaged-", dir=folder.parent))
        try:
            folder.rename(damaged / "entry")
            draft.rename(folder)
        finally:
            shutil.rmtree(damaged, ignore_errors=True)
