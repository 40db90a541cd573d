"""Every benchmark in turn, one table, and ``benchmarks/RESULTS.md``. One that fails does not hide the others.

    python benchmarks/all.py [NAME ...]

Names are those of the scripts here without ``.py``. Exit status 1 if one failed or missed a target.
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from parts.figures import ROWS_FILE, Figure, read_rows
from parts.usage import cores

HERE = Path(__file__).parent
NO_BENCHMARKS = {"all", "notebook_way", "fine_tuning"}
"""Scripts that are run by others, or need films of one's own and the better part of an hour."""
OPTIONS = {"floor": ["--picture", str(HERE.parent / "docs" / "performance.svg")]}
LONGEST = 1800
"""Seconds after which a benchmark counts as hanging."""
PACKAGES = (
    "tensorflow",
    "keras",
    "openvino",
    "weasyprint",
    "pydicom",
    "pylibjpeg-openjpeg",
    "pillow",
    "numpy",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one benchmark: its rows, and the words for how it ended."""

    name: str
    figures: list[Figure]
    ending: str
    seconds: float


def main() -> None:
    known = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NO_BENCHMARKS)
    names = sys.argv[1:] or known
    if unknown := set(names) - set(known):
        sys.exit(f"No such benchmark: {', '.join(sorted(unknown))}. There are {', '.join(known)}.")
    load = os.getloadavg()[0]
    outcomes = [run(name) for name in names]
    text = page(outcomes, load)
    print(f"\n{text}")
    if len(names) == len(known):
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
    sys.exit(0 if all(outcome.ending == "finished" for outcome in outcomes) else 1)


def run(name: str) -> Outcome:
    print(f"== {name}", flush=True)
    begun = time.perf_counter()
    with TemporaryDirectory() as folder:
        rows = Path(folder) / "rows"
        command = [sys.executable, str(HERE / f"{name}.py"), *OPTIONS.get(name, [])]
        try:
            code = subprocess.run(
                command, env={**os.environ, ROWS_FILE: str(rows)}, timeout=LONGEST
            ).returncode
            missed = any(figure.met is False for figure in read_rows(rows))
            ending = "finished" if code == 0 else "missed a target" if missed else f"FAILED (status {code})"
        except subprocess.TimeoutExpired:
            ending = f"FAILED (not finished after {LONGEST} s)"
        return Outcome(name, read_rows(rows), ending, time.perf_counter() - begun)


def page(outcomes: list[Outcome], load: float) -> str:
    lines = ["# Benchmarks", "", *machine(load), "", "| | figure | target | |", "|---|---|---|---|"]
    for outcome in outcomes:
        lines.append(f"| **{outcome.name}** ({outcome.seconds:.0f} s) | | | {outcome.ending} |")
        for figure in outcome.figures:
            shown = " ".join(filter(None, [figure.shown, f"({figure.note})" if figure.note else ""]))
            lines.append(f"| {figure.name} | {shown} | {figure.target} | {figure.verdict} |")
    return "\n".join([*lines, ""])


def machine(load: float) -> list[str]:
    """Where, with what, and when."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return [
        f"Made by `make bench` on {datetime.date.today().isoformat()}, commit {commit()}.",
        f"{processor()}, {cores()} processors in use, {memory:.0f} GB; load {load:.1f} before the start; "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {installed(name)}" for name in PACKAGES)
        + ".",
    ]


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(none)"


def commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


if __name__ == "__main__":
    main()
