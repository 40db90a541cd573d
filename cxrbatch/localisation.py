"""Where a model's heat maps look, on phantoms, whose lesions are known exactly; and whether that was learned.

The second is the model randomisation test of Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018:
maps that stay as they are when the network's weights are replaced by random ones show the film, not what the
network knows of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from cxrbatch.bundles.batch_norms import leaves, settle_batch_norms
from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.card import FindingLocalisation, Localisation, Share
from cxrbatch.bundles.head import NoPooledHeadError, pooled_head
from cxrbatch.bundles.network import load_classifier
from cxrbatch.evaluation.delimited import fold
from cxrbatch.evaluation.localisation import overlap, points_at, widened
from cxrbatch.pipeline.preprocess import preprocess_one
from cxrbatch.reporting.overlays import CONTOUR_SHARE, map_on_film
from cxrbatch.sample.lesions import FINDINGS
from cxrbatch.sample.phantom import frontal
from cxrbatch.scoring.heatmaps import heat_map_model

SIZE = (512, 448)
"""Rows and columns of the phantoms: more than networks see, little enough to draw hundreds."""
FIRST_SEED = 500_000
"""Far from the seeds of `cxrbatch sample` and of the tests: bodies that nothing was trained on."""
FILMS = 40
"""Phantoms for each finding."""
TOLERANCE = 15
"""Pixels that the highest point may lie beside the lesion: what the pointing game has always allowed."""
RANDOMISED_FILMS = 8
"""Of these, per finding, for the randomisation test."""
RANDOMISED = {"head": 0.0, "head and top fifth": 0.2, "head and top half": 0.5, "whole network": 1.0}
"""How much of the backbone's layers, from the top, gets random weights."""
_BATCH = 8

Bar = Callable[[Sequence[tuple[str, int]]], Iterable[tuple[str, int]]]
Grids = NDArray[np.float32]


class LocalisationError(ValueError):
    """The model has no heat maps, or knows nothing that can be planted."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One phantom: the network's input, and of the planted finding the card's name, its output and mask."""

    pixels: NDArray[np.float32]
    finding: str
    output: int
    mask: NDArray[np.bool_]


def localise(bundle: Bundle, films: int = FILMS, bar: Bar = lambda plan: plan) -> Localisation:
    """Measure both for `bundle`, with `films` phantoms for each finding that can be planted and is known.

    `bar` may wrap the plan, (finding, seed) of each phantom, to show progress.

    Raises:
        LocalisationError: there is nothing to measure.
    """
    known = {fold(name): (index, name) for index, name in enumerate(bundle.card.findings)}
    planted = [name for name in FINDINGS if fold(name) in known]
    if not planted:
        raise LocalisationError(
            f"The model {bundle.card.name} knows none of the findings that phantoms can have: "
            f"{', '.join(FINDINGS)}."
        )
    classifier = load_classifier(bundle)
    try:
        network = heat_map_model(classifier)
    except NoPooledHeadError as error:
        raise LocalisationError(f"The model {bundle.card.name} has no heat maps: {error}") from error
    looks = []
    for finding, seed in bar([(finding, FIRST_SEED + i) for finding in planted for i in range(films)]):
        phantom = frontal(seed, SIZE, findings=[finding])
        film = np.rint(phantom.film * 65535.0).astype(np.uint16)
        output, name = known[fold(finding)]
        looks.append(_Look(preprocess_one(film, bundle.card.input), name, output, phantom.masks[finding]))
    grids = _maps(network, looks)
    method = (
        f"Phantoms of {SIZE[0]} x {SIZE[1]} pixels with one planted finding each, {films} a finding. "
        f"Pointing game (Zhang et al., IJCV 2018): the map's highest point lies in the lesion or at most "
        f"{TOLERANCE} pixels beside it; by chance: the part of the film where it would. Overlap: mean "
        "intersection over union of the lesion with where the map reaches "
        f"{CONTOUR_SHARE:g} of its maximum, the line in reports. The map's own grid is coarse: "
        f"{grids.shape[1]} x {grids.shape[2]} cells."
    )
    return Localisation(
        method=method,
        findings=_pointing(bundle, looks, grids),
        randomisation_method=(
            "Weights replaced by random ones from the output down (Adebayo et al., NeurIPS 2018), their "
            "batch norms set to the pictures: mean rank correlation (Spearman) with the map of the network "
            f"as it is, on {len(planted)} x {min(films, RANDOMISED_FILMS)} of these phantoms. 1: maps do "
            "not depend on what was learned; 0: it does."
        ),
        randomised=_randomised(classifier, network, looks, grids),
    )


def _maps(network: keras.Model, looks: Sequence[_Look]) -> Grids:
    """The map of the planted finding of each, (n, grid rows, grid columns)."""
    parts = []
    for at in range(0, len(looks), _BATCH):
        batch = looks[at : at + _BATCH]
        maps = np.asarray(network(np.stack([look.pixels for look in batch]), training=False)["maps"])
        parts += [maps[i, :, :, look.output] for i, look in enumerate(batch)]
    return np.stack(parts)


def _pointing(bundle: Bundle, looks: Sequence[_Look], grids: Grids) -> dict[str, FindingLocalisation]:
    found = {}
    for finding in dict.fromkeys(look.finding for look in looks):
        hits, areas, overlaps = [], [], []
        for look, grid in zip(looks, grids, strict=True):
            if look.finding == finding:
                heat = map_on_film(grid, *SIZE, bundle.card.input, SIZE)
                hits.append(points_at(heat, look.mask, TOLERANCE))
                overlaps.append(overlap(heat, look.mask, CONTOUR_SHARE))
                areas.append(float(widened(look.mask, TOLERANCE).mean()))
        found[finding] = FindingLocalisation(
            hits=Share(count=sum(hits), of=len(hits)),
            by_chance=round(float(np.mean(areas)), 4),
            overlap=round(float(np.mean(overlaps)), 4),
        )
    return found


def _randomised(
    classifier: keras.Model, network: keras.Model, looks: Sequence[_Look], grids: Grids
) -> dict[str, float]:
    """Changes the weights of `classifier`, which `network` shares."""
    taken: Counter[str] = Counter()
    chosen = []
    for number, look in enumerate(looks):
        if taken[look.finding] < RANDOMISED_FILMS:
            taken[look.finding] += 1
            chosen.append(number)
    few = [looks[number] for number in chosen]
    pictures = np.stack([look.pixels for look in few])
    head = pooled_head(classifier).dense
    backbone = [layer for layer in leaves(classifier) if layer.weights and layer is not head]
    rng = np.random.default_rng(FIRST_SEED)
    done: list[keras.Layer] = []
    kept = {}
    for part, share in RANDOMISED.items():
        top = backbone[len(backbone) - round(share * len(backbone)) :]
        fresh = [layer for layer in (head, *top) if not any(layer is other for other in done)]
        for layer in fresh:
            randomise(layer, rng)
        done += fresh
        settle_batch_norms(classifier, pictures, only=done)
        now = _maps(network, few)
        agreement = [rank_correlation(grids[i], grid) for i, grid in zip(chosen, now, strict=True)]
        kept[part] = round(float(np.mean(agreement)), 3)
    return kept


def randomise(layer: keras.Layer, rng: np.random.Generator) -> None:
    """Forget what the layer learned: kernels become noise as large as they were, batch norms neutral."""
    if isinstance(layer, keras.layers.BatchNormalization):
        values = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0}
        for variable in layer.weights:
            variable.assign(np.full(variable.shape, values[variable.name], np.float32))
        return
    for variable in layer.weights:
        old = np.asarray(variable)
        if old.ndim < 2:  # a bias
            variable.assign(np.zeros_like(old))
        else:
            variable.assign(rng.normal(0.0, old.std(), old.shape).astype(np.float32))


def rank_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Spearman's, -1 to 1, over all cells; 0 where one of the two has only one value: it orders nothing."""
    ranks = [rankdata(grid.ravel()) for grid in (a, b)]
    if any(np.ptp(rank) == 0.0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])
