"""What a machine must have in common with the one that leads the run, and telling where it does not."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cxrbatch
from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.resources import shipped_folder
from cxrbatch.scoring.engine import Surroundings

PACKAGES = (
    "tensorflow", "keras", "openvino", "numpy", "pydicom", "pillow", "pylibjpeg", "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg", "pylibjpeg-rle", "weasyprint",
)  # fmt: skip
"""What has a say in scores, pixels and pages."""

TEMPORARY_MARK = ".cxrbatch-tmp-"
"""`cxrbatch.ledger.atomic.TEMPORARY_MARK`: what is left of a probe is swept by the next start."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What to look for: a file in the run folder with a word in it, the inputs, and the bundle."""

    file: Path
    word: str
    inputs: tuple[str, ...]
    model: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a machine has: versions by name, the bundle's hash, and what is wrong with how it sees files."""

    versions: dict[str, str]
    bundle_sha256: str
    troubles: tuple[str, ...] = ()


def lay_probe(around: Surroundings) -> Probe:
    """Put a word into the run folder that only who sees the very folder can read."""
    file, word = around.run / f"{TEMPORARY_MARK}probe-{secrets.token_hex(6)}", secrets.token_hex(16)
    file.write_text(word, encoding="ascii")
    inputs = tuple(str(Path(name).absolute()) for name in around.inputs)
    return Probe(file, word, inputs, portable_model(around.model))


def portable_model(model: str) -> str:
    """A bundle's name as it is; its folder as an absolute path, since others work in another folder."""
    path = Path(model)
    return str(path.absolute()) if (path / "card.json").is_file() else model


def look_around(probe: Probe) -> Facts:
    """On the machine in question. Texts name no input, since paths of inputs may tell of patients."""
    troubles = list(_folder_troubles(probe))
    hidden = [i for i, name in enumerate(probe.inputs, 1) if not os.access(name, os.R_OK)]
    if hidden:
        numbers = ", ".join(map(str, hidden))
        troubles.append(f"cannot read input {numbers} of {len(probe.inputs)}")
    try:
        sha256 = open_bundle(probe.model).sha256
    except BundleError:
        sha256 = "none"
        troubles.append(f"has no usable model '{probe.model}'")
    return Facts(versions(), sha256, tuple(troubles))


def _folder_troubles(probe: Probe) -> Sequence[str]:
    folder = probe.file.parent
    try:
        if probe.file.read_text(encoding="ascii") != probe.word:
            return [f"sees another folder as {folder}"]
    except OSError as error:
        return [f"cannot see the run folder {folder} ({error.strerror})"]
    mine = probe.file.with_name(f"{probe.file.name}-{secrets.token_hex(6)}")
    try:
        mine.write_text(probe.word, encoding="ascii")
        mine.unlink()
    except OSError as error:
        return [f"cannot write to the run folder {folder} ({error.strerror})"]
    return []


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """By name, of everything that has a say in what comes out."""
    found = {
        "cxrbatch": f"{cxrbatch.__version__} (code {code_digest()})",
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def code_digest() -> str:
    """A short hash of our own code and templates: two checkouts of one version may differ."""
    digest = hashlib.sha256()
    package = Path(cxrbatch.__file__).parent
    for folder, pattern in ((package, "*.py"), (shipped_folder("templates"), "*")):
        for path in sorted(path for path in folder.rglob(pattern) if path.is_file()):
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def differences(ours: Facts, theirs: Facts) -> list[str]:
    """What sets a machine apart, in words that follow its name; empty where nothing does."""
    found = list(theirs.troubles)
    found += [
        f"has {name} {theirs.versions.get(name, 'none')} instead of {here}"
        for name, here in ours.versions.items()
        if theirs.versions.get(name) != here
    ]
    if theirs.bundle_sha256 not in (ours.bundle_sha256, "none"):
        found.append(
            f"has another bundle under that name (SHA-256 {theirs.bundle_sha256[:12]} instead of "
            f"{ours.bundle_sha256[:12]})"
        )
    return found
