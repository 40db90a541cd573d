import numpy as np
import pytest

from cxrbatch.sample.exposure import BONE_OVER_SOFT, SCATTER_SHARE, SOFT, attenuation, expose, render
from cxrbatch.sample.thorax import Tissue

SHAPE = (200, 200)


def slab(**centimetres: float) -> Tissue:
    planes = {name: np.zeros(SHAPE, np.float32) for name in ("body", "lung", "air", "vessels", "bone")}
    for name, depth in centimetres.items():
        planes[name] += depth
    return Tissue(**planes)


def test_water_alone_attenuates_by_its_thickness() -> None:
    assert attenuation(slab(body=10.0))[0, 0] == pytest.approx(10 * SOFT)


def test_air_inside_the_body_lets_the_beam_through_and_bone_stops_more_of_it() -> None:
    water, bone = attenuation(slab(body=10.0)), attenuation(slab(body=10.0, bone=1.0))
    hollow, lung = attenuation(slab(body=10.0, air=4.0)), attenuation(slab(body=10.0, lung=4.0))
    assert hollow[0, 0] == pytest.approx(6 * SOFT)
    assert hollow[0, 0] < lung[0, 0] < water[0, 0]
    assert bone[0, 0] - water[0, 0] == pytest.approx(BONE_OVER_SOFT)


def test_a_uniform_slab_obeys_beer_and_lambert_with_its_scatter_on_top() -> None:
    integral = np.full(SHAPE, 2.0, np.float32)
    signal = expose(integral, SHAPE, 5.0, np.random.default_rng(0))
    assert float(signal.mean()) == pytest.approx(2.0 - np.log(1 + SCATTER_SHARE), abs=2e-3)


def test_noise_varies_as_the_count_of_quanta() -> None:
    integral, quanta = np.full(SHAPE, 3.0, np.float32), 1e5
    counts = np.exp(-expose(integral, SHAPE, 5.0, np.random.default_rng(0), quanta)) * quanta
    assert float(counts.var()) == pytest.approx(float(counts.mean()), rel=0.05)


def test_denser_is_brighter_and_display_values_stay_between_0_and_1() -> None:
    steps = [render(np.full(SHAPE, s, np.float32), 5.0)[0, 0] for s in (0.0, 1.5, 2.5, 3.5, 9.0)]
    assert steps == sorted(steps)
    assert len(set(steps)) > 3
    assert min(steps) >= 0
    assert max(steps) <= 1
