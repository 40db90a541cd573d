import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from cxrbatch.sample.lesions import FINDINGS, PLANTERS
from cxrbatch.sample.phantom import frontal

SIZE = (384, 336)


def test_every_finding_but_the_large_heart_has_a_planter() -> None:
    assert {*PLANTERS, "Cardiomegaly"} == set(FINDINGS)


@pytest.mark.parametrize("finding", FINDINGS)
@pytest.mark.parametrize("seed", range(3))
def test_a_lesion_changes_the_picture_in_its_mask_and_almost_nowhere_else(finding: str, seed: int) -> None:
    without, planted = frontal(seed, SIZE), frontal(seed, SIZE, findings=[finding])
    mask = planted.masks[finding]
    change = np.abs(planted.film - without.film)
    near = binary_dilation(mask, iterations=8)
    assert without.masks == {}
    assert 30 < mask.sum() < 0.35 * mask.size
    # Scatter and processing carry a trace of a change around it: no more than a trace.
    assert change[near].sum() > 0.8 * change.sum()
    assert change[~near].max() < 0.05
    assert change[~near].mean() < 0.001
    assert np.quantile(change[mask], 0.75) > 0.03
    # Fluid and solid tissue brighten the film, free air darkens it.
    brightening = (planted.film - without.film)[mask].mean()
    assert brightening < -0.05 if finding == "Pneumothorax" else brightening > 0.02


@pytest.mark.parametrize("seed", range(4))
def test_a_nodule_is_under_and_a_mass_over_three_centimetres(seed: int) -> None:
    for finding, low, high in (("Nodule", 0.8, 3.0), ("Mass", 3.0, 7.5)):
        phantom = frontal(seed, SIZE, findings=[finding])
        mask = phantom.masks[finding]
        assert label(mask)[1] == 1
        diameter = 2 * np.sqrt(mask.sum() / np.pi) / phantom.px_per_cm
        assert low < diameter < high


@pytest.mark.parametrize("seed", range(4))
def test_an_effusion_lies_low_at_one_side_and_a_pneumothorax_high(seed: int) -> None:
    thorax = frontal(seed, SIZE).thorax
    rows, cols = np.nonzero(thorax)
    for finding, high in (("Effusion", False), ("Pneumothorax", True)):
        y, x = np.nonzero(frontal(seed, SIZE, findings=[finding]).masks[finding])
        assert (y.mean() < rows.mean()) == high
        assert max((x < cols.mean()).mean(), (x > cols.mean()).mean()) > 0.99


def test_two_findings_in_one_film_have_a_mask_each() -> None:
    both = frontal(3, SIZE, findings=["Nodule", "Effusion", "Nodule"])
    assert sorted(both.masks) == ["Effusion", "Nodule"]
    assert np.array_equal(both.masks["Effusion"], frontal(3, SIZE, findings=["Effusion"]).masks["Effusion"])
