"""What the benchmarks share: targets, the table, and that one that fails does not hide the others."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return {name: importlib.import_module(name) for name in ("parts.figures", "all")}


@pytest.mark.parametrize(
    ("value", "targets", "met", "verdict"),
    [
        (3.0, {"at_most": 3}, True, "met"),
        (3.1, {"at_most": 3}, False, "MISSED"),
        (0.94, {"at_least": 0.95}, False, "MISSED"),
        (0.95, {"at_least": 0.95}, True, "met"),
        (float("nan"), {"at_most": 3}, False, "MISSED"),
        (1.0, {}, None, ""),
        (None, {"at_least": 1}, None, ""),
    ],
)
def test_a_target_is_met_or_missed(modules, value, targets, met, verdict):
    figure = modules["parts.figures"].Figure("x", value, **targets)
    assert figure.met is met
    assert figure.verdict == verdict


def test_the_table_holds_all_rows_though_one_benchmark_breaks(modules, tmp_path, monkeypatch):
    runner = modules["all"]
    good = "from parts.figures import Figure, conclude\nconclude([Figure('speed', 2.0, 'x', at_least=1)])\n"
    slow = "from parts.figures import Figure, conclude\nconclude([Figure('haste', 0.5, 'x', at_least=1)])\n"
    for name, text in (("a", "raise SystemExit('broken')"), ("b", good), ("c", slow)):
        (tmp_path / f"{name}.py").write_text(f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n{text}")
    monkeypatch.setattr(runner, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["all.py"])
    with pytest.raises(SystemExit) as ended:
        runner.main()
    assert ended.value.code == 1
    table = (tmp_path / "RESULTS.md").read_text()
    assert "| speed | 2.00 x | >= 1 | met |" in table
    assert "| haste | 0.50 x | >= 1 | MISSED |" in table
    assert "FAILED (status 1)" in table
    assert "missed a target" in table


def test_processor_time_of_an_orphan_counts():
    """As of the worker processes, whose parent, a fork server, is nobody's child any more when it ends.

    In a process of its own, as every benchmark is: it waits for all that it inherits.
    """
    burn = "import time\nwhile time.process_time() < 0.4: pass"
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {burn!r}])"
    measure = f"import sys; from parts.usage import run; print(run([sys.executable, '-c', {orphan!r}]).cpu)"
    done = subprocess.run([sys.executable, "-c", measure], cwd=BENCHMARKS, capture_output=True, check=True)
    assert float(done.stdout) >= 0.4
