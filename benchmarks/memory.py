"""Does memory grow with the length of the night? Peak memory of a run over few and over many studies.

    python benchmarks/memory.py [FEW MANY]

Peak resident memory of the main process (decoders are bounded by their number), without reports.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from parts.figures import Figure, conclude
from PIL import Image


def peak_bytes(studies: int, folder: Path) -> int:
    """Score `studies` tiny films in a process of its own; its highest resident memory."""
    inbox = folder / f"inbox-{studies}"
    inbox.mkdir()
    for number in range(studies):
        grey = np.random.default_rng(number).integers(0, 256, (48, 48), np.uint8)
        Image.fromarray(grey).save(inbox / f"{number:06}.png")
    command = [sys.executable, "-m", "cxrbatch", "score", str(inbox), "--out", str(folder / f"run-{studies}")]
    process = subprocess.Popen([*command, "--reports", "none"], stderr=subprocess.PIPE)
    assert process.stderr is not None
    messages = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(messages.decode())
    return usage.ru_maxrss * 1024


def main() -> None:
    few, many = map(int, sys.argv[1:3] or (200, 2000))
    with tempfile.TemporaryDirectory() as name:
        peaks = {studies: peak_bytes(studies, Path(name)) for studies in (few, many)}
    conclude(
        [
            *(Figure(f"{studies:,} studies: peak", peak / 1e6, "MB") for studies, peak in peaks.items()),
            Figure("growth of the peak", 100 * (peaks[many] / peaks[few] - 1), "%", at_most=5),
        ]
    )


if __name__ == "__main__":
    main()
