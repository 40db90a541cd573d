"""The rooms of docs/architecture.md, checked on every import in the code, those inside functions too."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import cxrbatch

PACKAGE = Path(cxrbatch.__file__).parent

# In the order in which data flows; a room may import those to its left.
ROOMS = ("intake", "radiographs", "pipeline", "bundles", "scoring", "ledger", "reporting")
# These join rooms, so nobody but they themselves may import them.
JOINERS = {
    "cli", "comparison", "config", "deidentification", "doctor", "film_check", "inbox",
    "localisation", "night", "request", "rerendering",
    "training", "validation",
}  # fmt: skip
# These stand alone, but for what is named.
ALONE: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "allocator": set(),
    "chatter": set(),
    "workers": set(),
    "csv_cells": set(),
    "progress": set(),
    "resources": set(),
    "stopping": set(),
    "evaluation": {"csv_cells"},
    "sample": {"intake"},
}
# Beyond the order of the rooms: architecture.md, "must not know about".
ALSO_FORBIDDEN = {"bundles": {"intake"}}

MODEL_LIBRARIES = {"tensorflow", "keras", "openvino", "torch", "jax"}
WITHOUT_MODELS = ("intake", "radiographs", "ledger", "reporting", "evaluation", "sample")
SLOW_TO_IMPORT = MODEL_LIBRARIES | {
    "numpy", "pandas", "scipy", "sklearn", "matplotlib", "pydicom", "PIL", "weasyprint", "pylibjpeg",
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One import statement: `name` is absolute; `lazy` is inside a function."""

    module: str
    line: int
    name: str
    lazy: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.name}"


def imports_of(source: str, module: str, is_package: bool = False) -> Iterator[Import]:
    """Every import in `source`, the text of `module`: statements and importlib.import_module("name")."""
    package = module if is_package else module.rpartition(".")[0]

    def names(node: ast.AST) -> list[str]:
        match node:
            case ast.Import():
                return [alias.name for alias in node.names]
            case ast.ImportFrom():
                base = node.module or ""
                if node.level:
                    parent = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                    base = f"{parent}.{base}" if base else parent
                # `from cxrbatch import reporting` imports a room as `from cxrbatch.reporting ...` does.
                return [f"{base}.{alias.name}" for alias in node.names] if base == "cxrbatch" else [base]
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                return [name]
        return []

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for name in names(node):
            yield Import(module, getattr(node, "lineno", 0), name, lazy)
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(source, filename=module), lazy=False)


def room_of(name: str) -> str:
    """``cxrbatch.intake.records`` -> ``intake``; blank for other packages and for cxrbatch itself."""
    parts = name.split(".")
    return parts[1] if parts[0] == "cxrbatch" and len(parts) > 1 else ""


def may_import(room: str) -> set[str]:
    if room in JOINERS:
        return {*ROOMS, *JOINERS, *ALONE}
    if room not in ROOMS:
        return {room, "resources", *ALONE.get(room, set())}
    left = set(ROOMS[: ROOMS.index(room) + 1])
    return (left | {"allocator", "chatter", "csv_cells", "resources", "workers"}) - ALSO_FORBIDDEN.get(
        room, set()
    )


def is_wrong(imported: Import) -> bool:
    target = room_of(imported.name)
    known = {*ROOMS, *JOINERS, *ALONE}
    return target in known and target not in may_import(room_of(imported.module) or "__init__")


def all_imports() -> list[Import]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        found += imports_of(path.read_text(encoding="utf-8"), module, is_package)
    return found


IMPORTS = all_imports()


def test_every_room_is_on_the_map() -> None:
    names = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert names <= {*ROOMS, *JOINERS, *ALONE}, "say in docs/architecture.md and here where it belongs"


def test_no_room_imports_one_to_its_right() -> None:
    assert not [str(i) for i in IMPORTS if is_wrong(i)]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cxrbatch.intake.walk", "from cxrbatch.reporting.content import RunFacts"),
        ("cxrbatch.intake.walk", "def f():\n    import cxrbatch.ledger.records"),
        ("cxrbatch.intake.walk", "from cxrbatch import scoring"),
        ("cxrbatch.intake.walk", "from ..pipeline import geometry"),
        ("cxrbatch.intake.walk", "importlib.import_module('cxrbatch.bundles.card')"),
        ("cxrbatch.reporting.pages", "from cxrbatch.night import run"),
        ("cxrbatch.evaluation.auroc", "from cxrbatch.ledger.records import StudyRecord"),
        ("cxrbatch.bundles.card", "from cxrbatch.intake.records import View"),
    ],
)
def test_a_wrong_import_is_seen(module: str, source: str) -> None:
    assert [i for i in imports_of(source, module) if is_wrong(i)]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cxrbatch.reporting.pages", "from cxrbatch.intake.records import View"),
        ("cxrbatch.night", "from cxrbatch.reporting.content import RunFacts"),
        ("cxrbatch.sample.write", "from cxrbatch.intake.records import View"),
        ("cxrbatch.intake.walk", "from .records import Study\nfrom cxrbatch import __version__"),
    ],
)
def test_a_right_import_is_not_blamed(module: str, source: str) -> None:
    assert not [i for i in imports_of(source, module) if is_wrong(i)]


def test_rooms_without_models_import_no_model_library() -> None:
    assert not [
        str(i)
        for i in IMPORTS
        if room_of(i.module) in WITHOUT_MODELS and i.name.split(".")[0] in MODEL_LIBRARIES
    ]


def test_reporting_parses_no_dicom() -> None:
    assert not [
        str(i) for i in IMPORTS if room_of(i.module) == "reporting" and i.name.split(".")[0] == "pydicom"
    ]


def test_commands_import_heavy_things_inside_functions() -> None:
    assert not [
        str(i)
        for i in IMPORTS
        if room_of(i.module) == "cli" and not i.lazy and i.name.split(".")[0] in SLOW_TO_IMPORT
    ]


def loaded_after(statements: str) -> set[str]:
    """Top-level packages in sys.modules of a fresh interpreter after `statements`."""
    code = f"{statements}\nimport json, sys\nprint(json.dumps([name.split('.')[0] for name in sys.modules]))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_rooms_without_models_load_none_through_others() -> None:
    """What decoding workers and report workers import must not bring TensorFlow in by a detour."""
    modules = sorted({i.module for i in IMPORTS if room_of(i.module) in WITHOUT_MODELS})
    assert modules
    loaded = loaded_after("import " + ", ".join(m for m in modules if not m.endswith("__main__")))
    assert not loaded & MODEL_LIBRARIES


def test_help_loads_nothing_slow() -> None:
    loaded = loaded_after(
        "import sys\n"
        "from cxrbatch.cli.app import main\n"
        "sys.argv = ['cxrbatch', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code"
    )
    assert not loaded & SLOW_TO_IMPORT
