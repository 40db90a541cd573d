"""How far above the floor is a study? Processor time of `cxrbatch score` against the parts nobody can avoid.

    python benchmarks/floor.py [--studies 144] [--turns 3] [--picture docs/performance.svg]

The parts, each alone in this same run: a bare forward pass (same runtime, same batch), a bare decode of the
same files (`pydicom`), and the leanest PDF with the same text and pictures (WeasyPrint, one plain paragraph a
line). And wall time against the best possible overlap: processor time divided by the processors.

A study's cost is a run over all less one over twelve, both from their first scored study on: how much the
start scatters would otherwise be shared out among the studies. What else a machine does makes processor time
dearer, by the minute. So parts and nights take turns, the parts before and after each night, each turn has a
ratio of its own, and their median counts. A busy processor makes its neighbour slower, too: as in a night all
processors are at work while a part is measured.
"""

from __future__ import annotations

import argparse
import html
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from parts.figures import Figure, conclude
from parts.films import write_studies
from parts.models import random_bundle
from parts.nights import begin, take_turn
from parts.usage import cores, score

from cxrbatch.bundles.bundle import Bundle, open_bundle

REPORTS = ("--reports", "html,pdf", "--findings", "top:4")
FEW = 12
"""Studies of the short run: more than are under way when the first is scored."""
STAGES = ("forward pass", "decode", "rest of scoring", "leanest PDF", "rest of report")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=144)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="where to draw where the time goes")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        name, *files = arguments.part
        part = {"bare_decode": bare_decode, "leanest_pdf": leanest_pdf}[name]
        print(part([Path(file) for file in files]))
        return
    figures, bars = [], {}
    with TemporaryDirectory(prefix="cxrbatch-floor-") as name:
        folder = Path(name)
        films = write_studies(folder / "inbox", arguments.studies)
        random = random_bundle(folder / "models" / "random-densenet121")
        for title, bundle in (("DenseNet121", random), ("shipped model", open_bundle("cxr-lite"))):
            rows, bars[title] = measure(title, bundle, films, folder / "run", arguments.turns)
            figures += rows
    if arguments.picture:
        draw(bars, arguments.picture)
    conclude(figures)


def measure(
    title: str, bundle: Bundle, films: list[Path], run: Path, turns: int
) -> tuple[list[Figure], list[float]]:
    """The figures of one model, and the processor seconds of `STAGES`: medians over the turns."""
    model, options = str(bundle.folder), {"scoring": ("--reports", "none"), "night": REPORTS}
    runs = {name: begin(films, model, run, *some, few=FEW) for name, some in options.items()}
    shutil.rmtree(run, ignore_errors=True)
    score(*films[:12], "--out", run, "--model", model, *REPORTS)  # what the first leanest PDFs say
    forward = BareForward(bundle)

    def parts() -> np.ndarray:
        reports = sorted((run / "reports").iterdir())[:12]
        return np.array(
            [
                forward.cpu(),
                on_every_processor(bare_decode, films[:12]),
                on_every_processor(leanest_pdf, reports),
            ]
        )

    rows = []
    for _ in range(turns):
        before = parts()
        for name, some in options.items():
            take_turn(runs[name], films, model, run, *some, started=True)
        floor = (before + parts()) / 2
        scoring, night = (runs[name].last for name in options)
        rows.append(
            [*floor, scoring.cpu, night.cpu, night.cpu / floor.sum(), night.wall * cores() / night.cpu]
        )
    pass_, decode, pdf, scored, study, ratio, overlap = np.median(rows, axis=0)
    stages = [pass_, decode, scored - pass_ - decode, pdf, study - scored - pdf]
    return [
        *(Figure(f"{title}: {stage}", cpu, "CPU s") for stage, cpu in zip(STAGES, stages, strict=True)),
        Figure(f"{title}: a study", study, "CPU s"),
        Figure(f"{title}: a study / its unavoidable parts", ratio, "x", at_most=1.25),
        Figure(f"{title}: wall time / (CPU time / cores)", overlap, "x", at_most=1.15),
    ], stages


class BareForward:
    """The exported network without heat maps in OpenVINO, float32, one image a pass: one pass after the other
    with the threads it chooses, or several at a time by its own queue, whichever is cheaper."""

    def __init__(self, bundle: Bundle) -> None:
        from parts.networks import bare_openvino, one_by_one, openvino_queue

        from cxrbatch.bundles.network import load_classifier

        spec, classifier = bundle.card.input, load_classifier(bundle)
        film = np.random.default_rng(0).normal(size=(1, spec.height, spec.width, spec.channels))
        self._films = [film.astype(np.float32)] * 20
        self._streams = (
            one_by_one(bare_openvino(classifier, film.shape)),
            openvino_queue(classifier, film.shape),
        )

    def cpu(self) -> float:
        """Processor seconds of a pass."""
        return min(
            cpu_seconds([lambda run=run: run(self._films)] * 4) / len(self._films) for run in self._streams
        )


def on_every_processor(part: Callable[[list[Path]], float], files: list[Path]) -> float:
    """The mean of what `part` gives in as many processes at once as there are processors."""
    command = [sys.executable, __file__, "--part", part.__name__, *map(str, files)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(cores())]
    return float(np.mean([float(process.communicate()[0]) for process in running]))


def bare_decode(films: list[Path]) -> float:
    """`pydicom` alone."""
    from pydicom import dcmread

    return cpu_seconds([lambda path=path: dcmread(path).pixel_array for path in films] * 4)


def leanest_pdf(reports: list[Path]) -> float:
    """The text of our PDFs, a plain paragraph a line, and their pictures: no style at all."""
    from pypdf import PdfReader
    from weasyprint import HTML
    from weasyprint.text.fonts import FontConfiguration

    from cxrbatch.reporting.pdf import PictureFetcher

    fonts = FontConfiguration()

    def page(folder: Path) -> Callable[[], object]:
        pictures = {p.name: p.read_bytes() for p in folder.glob("*.jpg") if p.name != "thumb.jpg"}
        lines = [
            line
            for sheet in PdfReader(folder / "report.pdf").pages
            for line in sheet.extract_text().splitlines()
        ]
        body = "".join(f"<p>{html.escape(line)}</p>" for line in lines if line.strip())
        body += "".join(f'<img src="picture:{name}" width="240">' for name in pictures)
        return lambda: HTML(string=body, url_fetcher=PictureFetcher(pictures)).write_pdf(font_config=fonts)

    return cpu_seconds([page(folder) for folder in reports])


def cpu_seconds(tasks: list[Callable[[], object]]) -> float:
    """Mean processor seconds of a task, all threads; the first two are for warming up."""
    for task in tasks[:2]:
        task()
    begun = time.process_time()
    for task in tasks:
        task()
    return (time.process_time() - begun) / len(tasks)


def draw(bars: dict[str, list[float]], path: Path) -> None:
    """Stacked bars: the floor in dark, what lies above it in light.

    Together they are what a study cost: of a part that costs more alone, only what is left of it is drawn.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    colours = ("#134a80", "#3d7fb8", "#c9d3dc", "#7a3b12", "#e8c9b0")
    figure, axis = plt.subplots(figsize=(8, 2.6), layout="constrained")
    for row, (forward, decode, scoring, pdf, report) in enumerate(bars.values()):
        left = 0.0
        widths = (forward, decode, scoring, pdf + min(report, 0.0), max(report, 0.0))
        for stage, width, colour in zip(STAGES, widths, colours, strict=True):
            axis.barh(row, width, left=left, color=colour, label=stage if row == 0 else None)
            left += width
    axis.set_yticks(range(len(bars)), list(bars))
    axis.invert_yaxis()
    axis.set_xlabel("processor seconds a study (dark: cannot be avoided)")
    axis.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, 1.25), frameon=False, fontsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    main()
