"""How long does the command line think before it answers? ``cxrbatch --help`` against ``import typer``.

    python benchmarks/start.py [--rounds 9]

Median wall times, in turn, so that a machine that grows busy slows down both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from parts.figures import Figure, conclude
from parts.usage import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    commands = {
        "ours": [str(Path(sys.executable).with_name("cxrbatch")), "--help"],
        "typer": [sys.executable, "-c", "import typer"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            wall = run(command).wall
            if number:  # the first of each fills the file system's caches
                seconds[name].append(wall)
    ours, typer = (statistics.median(seconds[name]) for name in ("ours", "typer"))
    conclude(
        [
            Figure("`cxrbatch --help`", ours, "s"),
            Figure("`cxrbatch --help` / `import typer`", ours / typer, "x", at_most=3),
        ]
    )


if __name__ == "__main__":
    main()
