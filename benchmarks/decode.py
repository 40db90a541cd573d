"""Does decoding scale with processes, and what does ``--fast-decode`` give?

    python benchmarks/decode.py [--films 24] [--large 6]

Films of 1955 x 1841 pixels as lossless JPEG 2000 and as JPEG lossless (made by DCMTK's `dcmcjpeg`, where it
is installed), through the decoding processes of `cxrbatch score`, one and two of them. Then films of
4096 x 3584 pixels as lossless JPEG 2000 with and without ``--fast-decode``, one process, and the largest
difference between the shipped model's probabilities: smaller films are decoded in full in either case.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from parts.figures import Figure, conclude
from parts.films import SIZE, as_jpeg_lossless, write_studies
from parts.usage import cores
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.intake.records import FileKind
from cxrbatch.pipeline.decoder_pool import DecoderPool, Film, FilmFile, LeastSize
from cxrbatch.pipeline.geometry import enough_pixels
from cxrbatch.scoring.local_scorer import LocalScorer
from cxrbatch.scoring.predictor import load_predictor

LARGE = (4096, 3584)
TURN = 8
"""Films of a turn: some seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--films", type=int, default=24)
    parser.add_argument("--large", type=int, default=6)
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="cxrbatch-decode-") as name:
        folder = Path(name)
        figures = two_against_one(
            "JPEG 2000", write_studies(folder / "j2k", arguments.films, JPEG2000Lossless)
        )
        plain = write_studies(folder / "plain", arguments.films, ExplicitVRLittleEndian)
        figures += two_against_one("JPEG lossless", as_jpeg_lossless(plain, folder / "jpeg"))
        large = write_studies(
            folder / "large", arguments.large, JPEG2000Lossless, bits=12, size=LARGE, bodies=2
        )
        figures += fast_against_full(large)
    conclude(figures)


def two_against_one(title: str, films: list[Path] | None) -> list[Figure]:
    name = f"{title}, 2 workers / 1"
    if films is None:
        return [Figure(name, None, note="dcmcjpeg (DCMTK) is not installed")]
    one, two = (np.array(rates) for rates in zip(*rates_by_turn(films), strict=True))
    rates = [
        Figure(f"{title}, 1 worker", float(np.median(one)), "films/s"),
        Figure(f"{title}, 2 workers", float(np.median(two)), "films/s"),
    ]
    if cores() < 2:
        return [*rates, Figure(name, None, note="this machine has one processor")]
    return [*rates, Figure(name, float(np.median(two / one)), "x", at_least=1.8)]


def rates_by_turn(films: list[Path]) -> Iterator[tuple[float, float]]:
    """Films a second of one worker and of two, in turns of `TURN` films, twice through the films.

    A turn's ratio is what counts: this machine's own speed changes from minute to minute.
    """
    files = as_files(films, SIZE)
    with started_pool(1, files) as one, started_pool(2, files) as two:
        for begin in [*range(0, len(files), TURN)] * 2:
            some = files[begin : begin + TURN]
            yield rate(one, some), rate(two, some)


def fast_against_full(films: list[Path]) -> list[Figure]:
    bundle = open_bundle("cxr-lite")
    least = partial(enough_pixels, spec=bundle.card.input)
    full = films_a_second(films, LARGE, 1)
    fast = films_a_second(films, LARGE, 1, least)
    predictor = load_predictor(bundle)
    scores = []
    for fast_decode in (False, True):
        engine = LocalScorer(predictor, bundle.card.input, cores(), fast_decode=fast_decode)
        scores.append(np.array([film.probabilities for film in engine.score(as_files(films, LARGE))]))
        engine.close()
    difference = float(np.abs(scores[0] - scores[1]).max())
    size = f"{LARGE[0]} x {LARGE[1]}"
    return [
        Figure(f"JPEG 2000, {size}, in full", full, "films/s"),
        Figure(f"JPEG 2000, {size}, --fast-decode / in full", fast / full, "x"),
        Figure("--fast-decode: largest change of a probability", difference, at_most=0.005),
    ]


def films_a_second(
    films: Sequence[Path], size: tuple[int, int], workers: int, least: LeastSize | None = None
) -> float:
    """Through a pool whose processes have started: the first films of each are not timed."""
    with started_pool(workers, as_files(films, size), least) as pool:
        return rate(pool, as_files(films, size))


@contextmanager
def started_pool(
    workers: int, films: list[FilmFile], least: LeastSize | None = None
) -> Iterator[DecoderPool]:
    pool = DecoderPool(workers, open_bundle("cxr-lite").card.input, least_size=least)
    try:
        consume(pool, films[: 2 * workers])
        yield pool
    finally:
        pool.close()


def rate(pool: DecoderPool, films: list[FilmFile]) -> float:
    begun = time.perf_counter()
    consume(pool, films)
    return len(films) / (time.perf_counter() - begun)


def consume(pool: DecoderPool, files: list[FilmFile]) -> None:
    for film in pool.decode(files):
        if not isinstance(film, Film):
            raise SystemExit(f"A film did not decode: {film.failure.detail}")


def as_files(films: Sequence[Path], size: tuple[int, int]) -> list[FilmFile]:
    return [FilmFile(number, str(path), FileKind.DICOM, *size) for number, path in enumerate(films)]


if __name__ == "__main__":
    main()
