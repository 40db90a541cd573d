"""A frontal chest phantom: a film with known findings and the masks of its lesions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cxrbatch.sample.anatomy import draw_anatomy
from cxrbatch.sample.bones import skeleton
from cxrbatch.sample.exposure import attenuation, expose, render
from cxrbatch.sample.grid import Mask, Plane, make_grid, resize, smoothstep, texture, working_shape
from cxrbatch.sample.lesions import FINDINGS, PLANTERS, Scene
from cxrbatch.sample.lettering import burn_in
from cxrbatch.sample.thorax import Tissue, body_wall, free_air, lungs
from cxrbatch.sample.vessels import vessels

FILM_CM = 36.0
"""The shorter side of the film."""


@dataclass(frozen=True, slots=True)
class Phantom:
    """A picture of nobody.

    `film` (rows, cols) holds display values 0..1, dense tissue bright. Each of `masks`, one a planted
    finding, and `heart` and `thorax` (the inside of the rib cage) are boolean and of the film's shape.
    """

    film: Plane
    px_per_cm: float
    view: str
    sex: str
    masks: dict[str, Mask]
    heart: Mask
    thorax: Mask


def streams(seed: int, *names: str) -> list[np.random.Generator]:
    """Independent random streams of one seed, each bound to its name.

    So a lesion draws nothing from the anatomy's stream, and the same body can be had with and without it.
    """
    keys = [[*seed.to_bytes(16, "big", signed=True), *name.encode()] for name in names]
    return [np.random.default_rng(key) for key in keys]


def frontal(
    seed: int,
    size: tuple[int, int] = (1024, 896),
    view: str = "PA",
    findings: Iterable[str] = (),
    sex: str = "M",
) -> Phantom:
    """A frontal film of `size` (rows, cols) with the `findings` (names of lesions.FINDINGS) planted.

    The same seed gives the same body, exposure and lesions; raises ValueError for an unknown finding.
    """
    wanted = sorted(set(findings))
    unknown = [name for name in wanted if name not in FINDINGS]
    if unknown:
        raise ValueError(f"Cannot plant {unknown[0]!r}: the phantom knows {', '.join(FINDINGS)}.")
    shape_rng, heart_rng, tissue_rng, beam_rng = streams(seed, "body", "heart", "tissue", "beam")
    normal, large = float(heart_rng.uniform(0.41, 0.47)), float(heart_rng.uniform(0.59, 0.66))
    # People differ in size and exposures in hardness.
    zoom, hardness = float(shape_rng.uniform(0.96, 1.08)), float(beam_rng.uniform(-0.18, 0.18))
    grid = make_grid(*working_shape(*size), FILM_CM * zoom)
    body = draw_anatomy(shape_rng, view, grid.height, sex, ctr=large if "Cardiomegaly" in wanted else normal)
    lung, heart, thorax = lungs(grid, body)
    tree = vessels(grid, body, tissue_rng) * smoothstep(lung, 0, 4)
    weave = texture(lung.shape, 0.05 * grid.px_per_cm, 0.3 * grid.px_per_cm, tissue_rng)
    tissue = Tissue(
        body=body_wall(grid, body),
        lung=lung,
        air=free_air(grid, body, tissue_rng),
        vessels=tree + 0.011 * weave * lung,
        bone=skeleton(grid, body),
    )
    masks: dict[str, Mask] = {}
    for name in wanted:
        if name == "Cardiomegaly":
            masks[name] = heart
            continue
        (lesion_rng,) = streams(seed, name)
        tissue, masks[name] = PLANTERS[name](Scene(grid, body, tissue), lesion_rng)
    px_per_cm = min(size) / (FILM_CM * zoom)
    signal = expose(attenuation(tissue), size, px_per_cm, beam_rng)
    film = render(signal, px_per_cm, low=0.35 + hardness, high=3.65 + hardness)
    return Phantom(
        film=burn_in(film),
        px_per_cm=px_per_cm,
        view=view,
        sex=sex,
        masks={name: _enlarge(mask, size) for name, mask in masks.items()},
        heart=_enlarge(heart, size),
        thorax=_enlarge(thorax, size),
    )


def _enlarge(mask: Mask, size: tuple[int, int]) -> Mask:
    return resize(mask.astype(np.float32), *size) > 0.5
