"""How far above the floor is a study? Processor time of `cxrbatch score` against the parts nobody can avoid.

    python benchmarks/floor.py [--studies 48] [--turns 2] [--picture docs/performance.svg]

The parts, each alone in this same run: a bare forward pass (same runtime, same batch), a bare decode of the
same files (`pydicom`), and the leanest PDF with the same text and pictures (WeasyPrint, one plain paragraph a
line). And wall time against the best possible overlap: processor time divided by the processors.

All take turns, and the least of each counts: what else the machine does makes processor time dearer, too, and
what is compared must not have been measured one in a quiet minute and one in a loud one.
"""

from __future__ import annotations

import argparse
import html
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from parts.figures import Figure, conclude
from parts.films import write_studies
from parts.models import random_bundle
from parts.nights import begin, take_turn
from parts.usage import cores

from cxrbatch.bundles.bundle import Bundle, open_bundle

REPORTS = ("--reports", "html,pdf", "--findings", "top:4")
STAGES = ("forward pass", "decode", "rest of scoring", "leanest PDF", "rest of report")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=48)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--picture", type=Path, help="where to draw where the time goes")
    arguments = parser.parse_args()
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
    """The figures of one model, and the processor seconds of `STAGES`."""
    model, options = str(bundle.folder), {"scoring": ("--reports", "none"), "night": REPORTS}
    runs = {name: begin(films, model, run, *some) for name, some in options.items()}
    parts: list[tuple[float, float, float]] = []
    for _ in range(turns):
        for name, some in options.items():
            take_turn(runs[name], films, model, run, *some)
        pdf = leanest_pdf(sorted((run / "reports").iterdir())[:12])
        parts.append((bare_forward(bundle), bare_decode(films[:12]), pdf))
    scoring, night = runs["scoring"].night.study, runs["night"].night.study
    forward, decode, pdf = map(min, zip(*parts, strict=True))
    floor = forward + decode + pdf
    stages = [forward, decode, scoring.cpu - forward - decode, pdf, night.cpu - scoring.cpu - pdf]
    figures = [
        Figure(f"{title}: {stage}", seconds, "CPU s") for stage, seconds in zip(STAGES, stages, strict=True)
    ]
    return [
        *figures,
        Figure(f"{title}: a study", night.cpu, "CPU s"),
        Figure(f"{title}: a study / its unavoidable parts", night.cpu / floor, "x", at_most=1.25),
        Figure(
            f"{title}: wall time / (CPU time / cores)", night.wall * cores() / night.cpu, "x", at_most=1.15
        ),
    ], stages


def bare_forward(bundle: Bundle, rounds: int = 40) -> float:
    """The exported network without heat maps, in OpenVINO as it comes but for float32, or with one thread
    where that is cheaper; one image a pass."""
    from parts.networks import bare_openvino

    from cxrbatch.bundles.network import load_classifier

    spec = bundle.card.input
    film = np.random.default_rng(0).normal(size=(1, spec.height, spec.width, spec.channels))
    classifier, batch = load_classifier(bundle), film.astype(np.float32)
    forwards = [bare_openvino(classifier, film.shape, threads) for threads in (None, 1)]
    return min(cpu_seconds([lambda run=run: run(batch)] * rounds) for run in forwards)


def bare_decode(films: list[Path]) -> float:
    """`pydicom` alone."""
    from pydicom import dcmread

    return cpu_seconds([lambda path=path: dcmread(path).pixel_array for path in films])


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
    """Stacked bars: the floor in dark, what lies above it in light."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    colours = ("#134a80", "#3d7fb8", "#c9d3dc", "#7a3b12", "#e8c9b0")
    figure, axis = plt.subplots(figsize=(8, 2.6), layout="constrained")
    for row, stages in enumerate(bars.values()):
        left = 0.0
        for stage, seconds, colour in zip(STAGES, stages, colours, strict=True):
            width = max(seconds, 0.0)
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
