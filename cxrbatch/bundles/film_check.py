"""``film_check.npz`` in a bundle: does a picture look like a frontal chest film, the right way up?

A linear head on one of the network's own activations, averaged over a coarse grid, and the distribution of
the same activation over training films. Plain arrays, read without unpickling. The file is optional: a bundle
without it scores films and says nothing of how they look (docs/film-check.md).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.golden import require_small

Floats = NDArray[np.float32]

FILM_CHECK_FILE = "film_check.npz"

SCHEMA = 1

UPRIGHT = "upright"
CLASSES = (UPRIGHT, "inverted", "upside_down", "sideways", "not_chest")
"""What a picture may look like. A mirrored film counts as `upright`: it cannot be told surely from one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a film is unusual.

    `flag` and `clear` are log-odds of not being an upright frontal chest film (`Look.wrong`): from `flag` on
    the pages say so, from `clear` on ``--reject-unusual`` leaves the film out. `atypicality` is in units of
    the 99th percentile of films held out of training, and only ever flags.
    """

    flag: float
    clear: float
    atypicality: float = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture looks like: `kind` is the likeliest of `CLASSES` but the first.

    `wrong` is ln(p / (1 - p)), p the probability of all classes but `upright`; `atypicality` >= 0 is the
    Mahalanobis distance to training films, 1.0 the 99th percentile of held-out films.
    """

    kind: str
    wrong: float
    atypicality: float


@dataclass(frozen=True, slots=True)
class Tap:
    """Where the check looks: the output of the layer `layer`, averaged over `grid` x `grid` cells."""

    layer: str
    grid: int


@dataclass(frozen=True, slots=True, eq=False)
class FilmCheck:
    """The arrays. For the averaged activation x (grid, grid, channels) of its `tap`:

    Class scores are ``x.ravel() . weights + bias``: `weights` (grid * grid * channels, classes), `bias`
    (classes,), a multinomial logistic regression with the features' standardisation folded in.
    Atypicality is ``|(mean over cells of x - centre) . whitening|``: `centre` (channels,), `whitening`
    (channels, channels), with the division by the 99th percentile folded in.

    `wrong_percentiles` (100,): of `Look.wrong` over inverted and turned films held out of training, from the
    lowest; so a limit's sensitivity can be told. `golden` (n, 2): `wrong` and `atypicality` that the
    bundle's golden input must give; `tolerance` by precision, absolute.
    """

    tap: Tap
    weights: Floats
    bias: Floats
    centre: Floats
    whitening: Floats
    limits: Limits
    wrong_percentiles: Floats
    golden: Floats
    tolerance: dict[str, float]

    def __post_init__(self) -> None:
        channels = len(self.centre)
        shapes = {
            "weights": (self.weights.shape, (self.tap.grid**2 * channels, len(CLASSES))),
            "bias": (self.bias.shape, (len(CLASSES),)),
            "whitening": (self.whitening.shape, (channels, channels)),
            "wrong_percentiles": (self.wrong_percentiles.shape, (100,)),
            "golden": (self.golden.shape[1:], (2,)),
        }
        for name, (found, expected) in shapes.items():
            if found != expected:
                raise ValueError(f"{name} must have the shape {expected}; received {found}")
        numbers = (self.weights, self.bias, self.centre, self.whitening, self.wrong_percentiles, self.golden)
        if not all(np.isfinite(array).all() for array in numbers):
            raise ValueError("every number must be finite")

    def looks(self, cells: Floats) -> list[Look]:
        """Of each picture, from its averaged activation: float32 (n, grid, grid, channels).

        Not by BLAS, whose threads would take processors from forward passes under way.
        """
        x = cells.astype(np.float64)
        scores = np.einsum("ni,ij->nj", x.reshape(len(x), -1), self.weights) + self.bias
        others = scores[:, 1:]
        highest = others.max(axis=1, keepdims=True)
        wrong = highest[:, 0] + np.log(np.exp(others - highest).sum(axis=1)) - scores[:, 0]
        offset = x.mean(axis=(1, 2)) - self.centre
        distance = np.linalg.norm(np.einsum("ni,ij->nj", offset, self.whitening), axis=1)
        return [
            Look(CLASSES[1 + int(best)], float(w), float(d))
            for best, w, d in zip(others.argmax(axis=1), wrong, distance, strict=True)
        ]

    def sensitivity(self, limit: float) -> float:
        """The share of held-out inverted and turned films whose `wrong` is at least `limit`."""
        return float(np.mean(self.wrong_percentiles >= limit))


def read_film_check(bundle: Bundle) -> FilmCheck | None:
    """The arrays of `bundle`, whose hash was checked when it was opened; None where it has none.

    Raises:
        BundleError: the file is damaged, or its shapes do not fit each other.
    """
    path = bundle.film_check_path
    return None if path is None else read_arrays(path)


def read_arrays(path: Path) -> FilmCheck:
    """The same from a file. Raises BundleError."""
    try:
        require_small(path)
        with np.load(path, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in arrays.files}
        if int(content["schema"]) != SCHEMA:
            raise ValueError(f"schema {int(content['schema'])}; this cxrbatch reads {SCHEMA}")
        if tuple(map(str, content["classes"])) != CLASSES:
            raise ValueError("its classes are others")
        return FilmCheck(
            tap=Tap(str(content["layer"]), int(content["grid"])),
            limits=Limits(*(float(content[name]) for name in ("limit_flag", "limit_clear"))),
            tolerance={name: float(content[f"tolerance_{name}"]) for name in ("float32", "mixed")},
            **{name: np.asarray(content[name], np.float32) for name in _ARRAYS},
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} cannot be read as a film check: {error}.") from error


_ARRAYS = ("weights", "bias", "centre", "whitening", "wrong_percentiles", "golden")


def write_arrays(path: Path, check: FilmCheck) -> None:
    """Write ``film_check.npz``: the same bytes for the same arrays."""
    content: dict[str, Any] = {
        "schema": np.int64(SCHEMA),
        "classes": np.array(CLASSES),
        "layer": np.array(check.tap.layer),
        "grid": np.int64(check.tap.grid),
        "limit_flag": np.float64(check.limits.flag),
        "limit_clear": np.float64(check.limits.clear),
    }
    content |= {f"tolerance_{name}": np.float64(value) for name, value in check.tolerance.items()}
    content |= {name: getattr(check, name) for name in _ARRAYS}
    np.savez(path, allow_pickle=False, **content)
