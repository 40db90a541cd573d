"""Every benchmark in turn, one table, and ``benchmarks/RESULTS.md``. One that fails does not hide the others.

    python benchmarks/all.py [NAME ...]

Names are those of the scripts here without ``.py``. Rows of the others stay in ``RESULTS.md`` as long as they
were made on the same machine with the same versions. Exit status 1 if one failed or missed a target.
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
RESULTS = "RESULTS.md"
"""The table's file, beside the benchmarks."""
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
    """What became of one benchmark: its rows, the words for how it ended, and how it was made."""

    name: str
    figures: list[Figure]
    ending: str
    made: str

    @property
    def rows(self) -> list[str]:
        """Those of the table; the first is told by its beginning, see `earlier`."""
        rows = [f"| **{self.name}** ({self.made}) | | | {self.ending} |"]
        for figure in self.figures:
            shown = " ".join(filter(None, [figure.shown, f"({figure.note})" if figure.note else ""]))
            rows.append(f"| {figure.name} | {shown} | {figure.target} | {figure.verdict} |")
        return rows


def main() -> None:
    known = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NO_BENCHMARKS)
    names = sys.argv[1:] or known
    if unknown := set(names) - set(known):
        sys.exit(f"No such benchmark: {', '.join(sorted(unknown))}. There are {', '.join(known)}.")
    outcomes = []
    for name in names:
        outcomes.append(run(name))
        # Each at once: the next may take half an hour, or be interrupted.
        (HERE / RESULTS).write_text(page(known, outcomes[-1]), encoding="utf-8")
    print(f"\n{(HERE / RESULTS).read_text(encoding='utf-8')}")
    sys.exit(0 if all(outcome.ending == "finished" for outcome in outcomes) else 1)


def run(name: str) -> Outcome:
    print(f"== {name}", flush=True)
    made = f"{datetime.date.today().isoformat()}, {commit()}, load {os.getloadavg()[0]:.1f}"  # as it began
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
        return Outcome(name, read_rows(rows), ending, f"{time.perf_counter() - begun:.0f} s, {made}")


def page(known: list[str], newest: Outcome) -> str:
    rows = earlier() | {newest.name: newest.rows}
    head = ["# Benchmarks", "", machine(), "", "| | figure | target | |", "|---|---|---|---|"]
    return "\n".join([*head, *(row for name in known for row in rows.get(name, ())), ""])


def earlier() -> dict[str, list[str]]:
    """The rows of each benchmark that stand in the table already, if this machine made them."""
    table = HERE / RESULTS
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    found: dict[str, list[str]] = {}
    if machine() in lines:
        for line in lines:
            if line.startswith("| **"):
                found[line.removeprefix("| **").partition("**")[0]] = rows = []
            if found:
                rows.append(line)
    return found


def machine() -> str:
    """Where and with what."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"Made by `make bench` on {processor()}, {cores()} processors in use, {memory:.0f} GB; "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {installed(name)}" for name in PACKAGES)
        + "."
    )


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

    ours = [f":(top,exclude){path}" for path in (f"benchmarks/{RESULTS}", "docs/performance.svg")]
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", *ours)
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


if __name__ == "__main__":
    main()
