from __future__ import annotations

import numpy as np
import pytest

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.errors import BundleError
from cxrbatch.bundles.golden import check_golden, golden_input, read_golden
from cxrbatch.bundles.network import load_classifier
from cxrbatch.pipeline.input_spec import InputSpec, Scaling


class Runs:
    """The bundle's own network, with an error added to one finding."""

    def __init__(self, bundle: Bundle, batch_size: int, error: float, precision: str = "float32") -> None:
        self.batch_size, self.precision, self._error = batch_size, precision, error
        self._network = load_classifier(bundle)

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        assert len(batch) == self.batch_size
        result = np.array(self._network(batch))
        result[:, 1] += self._error
        return result


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_own_weights_pass_in_any_batch_size(tiny_bundle: Bundle, batch_size: int) -> None:
    assert check_golden(Runs(tiny_bundle, batch_size, 0.0), tiny_bundle) < 1e-6


@pytest.mark.parametrize("error", [2e-5, -2e-5, np.nan])
def test_one_wrong_probability_is_an_error(tiny_bundle: Bundle, error: float) -> None:
    with pytest.raises(BundleError, match="does not give its golden output"):
        check_golden(Runs(tiny_bundle, 1, error), tiny_bundle)


def test_mixed_precision_has_its_own_measured_tolerance(tiny_bundle: Bundle) -> None:
    allowed = read_golden(tiny_bundle).tolerance["mixed"]

    assert check_golden(Runs(tiny_bundle, 1, 0.9 * allowed, "mixed"), tiny_bundle) > 1e-5
    with pytest.raises(BundleError, match="in mixed"):
        check_golden(Runs(tiny_bundle, 1, 1.1 * allowed, "mixed"), tiny_bundle)


def test_pickled_arrays_are_refused(tiny_bundle: Bundle) -> None:
    pair = read_golden(tiny_bundle)
    # This file would run code if it were unpickled.
    with tiny_bundle.golden_path.open("wb") as stream:
        np.savez(stream, input=np.array([object()]), probabilities=pair.probabilities, tolerance_float32=1.0)

    with pytest.raises(BundleError, match="cannot be read as a golden pair"):
        read_golden(tiny_bundle)


def test_a_pair_of_other_shape_is_refused(tiny_bundle: Bundle) -> None:
    np.savez(
        tiny_bundle.golden_path,
        input=np.zeros((2, 16, 16, 3), np.float32),
        probabilities=np.zeros((2, 3), np.float32),
        tolerance_float32=1e-5,
    )

    with pytest.raises(BundleError, match="does not fit its card"):
        read_golden(tiny_bundle)


def test_a_truncated_file_is_refused(tiny_bundle: Bundle) -> None:
    content = tiny_bundle.golden_path.read_bytes()
    tiny_bundle.golden_path.write_bytes(content[: len(content) // 2])

    with pytest.raises(BundleError, match="cannot be read"):
        read_golden(tiny_bundle)


@pytest.mark.parametrize("scaling", list(Scaling))
def test_the_input_is_in_the_range_of_its_scaling(scaling: Scaling) -> None:
    picture = golden_input(InputSpec(height=24, width=40, channels=1, scaling=scaling))

    low, high = {Scaling.UNIT: (0.0, 1.0), Scaling.XRV: (-1024.0, 1024.0)}.get(scaling, (-2.5, 2.5))
    assert picture.shape == (2, 24, 40, 1)
    assert picture.dtype == np.float32
    assert low <= picture.min() < picture.max() <= high
    assert picture.std() > 0.1 * (high - low) / 5.0
