"""How fast is a start that finds nothing to do? Studies a second over a finished run.

    python benchmarks/resume.py [STUDIES]

The run is made by its records (the ledger, store and report folders, run.json) and not by a model; what is
timed is the whole command, `cxrbatch score`, less the time of one with nothing to look at.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from parts.figures import Figure, conclude
from PIL import Image

from cxrbatch.intake.records import SourceFile
from cxrbatch.ledger import layout
from cxrbatch.ledger.ledger import Ledger

FILES = {layout.STORE: 2, layout.REPORTS: 8}
"""Files of a study in each folder."""


def score(inbox: Path, run: Path) -> float:
    """Seconds that the command took."""
    command = [sys.executable, "-m", "cxrbatch", "score", str(inbox), "--out", str(run), "--reports", "none"]
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    return time.perf_counter() - begun


def finished_run(folder: Path, studies: int) -> tuple[Path, Path]:
    """An inbox of `studies` films and a run that has scored one; then, by its records, all of them."""
    inbox, run = folder / "inbox", folder / "run"
    inbox.mkdir()
    film = inbox / "000000.png"
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(film)
    score(inbox, run)
    ledger = Ledger(run / layout.LEDGER)
    ((only, _),) = ledger.studies()
    image = only.images[0]
    for number in range(1, studies):
        path = inbox / f"{number:06}.png"
        os.link(film, path)
        key = f"{number:032x}"
        found = path.stat()
        source = SourceFile(str(path), found.st_size, found.st_mtime_ns, found.st_ino)
        ledger.add_candidate(source, image.header, key, "")
        ledger.record_score(replace(image, path=str(path), study_key=key), "pixels", "file")
        ledger.close_study(key)
        ledger.record_report(key)
        for part, count in FILES.items():
            (run / part / key).mkdir(parents=True)
            for file in range(count):
                (run / part / key / f"{file}.jpg").touch()
    ledger.close()
    return inbox, run


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inbox, run = finished_run(folder, studies)
        (folder / "empty").mkdir()
        score(folder / "empty", folder / "nothing")
        start = score(folder / "empty", folder / "nothing")
        score(inbox, run)  # the file system's caches are warm from here on
        seconds = score(inbox, run)
    rate = studies / max(seconds - start, 1e-9)
    conclude(
        [
            Figure(f"going over {studies:,} finished studies", seconds, "s", note=f"{start:.2f} s to start"),
            Figure("finished studies looked over", rate, "/s", at_least=2000),
        ]
    )


if __name__ == "__main__":
    main()
