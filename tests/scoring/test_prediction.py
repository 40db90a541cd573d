from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cxrbatch.scoring.prediction import check_shape, logit, prediction_from_outputs, sigmoid

LOGITS = hnp.arrays(np.float32, (2, 3), elements=st.floats(-150, 150, width=32))


@given(LOGITS)
def test_sigmoid_is_scipys_rounded_once(logits: np.ndarray) -> None:
    expected = scipy.special.expit(logits.astype(np.float64)).astype(np.float32)

    result = sigmoid(logits)

    assert result.dtype == np.float32
    np.testing.assert_array_almost_equal_nulp(result, expected, 1)


def test_nan_is_passed_on_and_infinities_saturate() -> None:
    result = sigmoid(np.array([np.nan, np.inf, -np.inf], np.float32))

    np.testing.assert_array_equal(result, np.array([np.nan, 1.0, 0.0], np.float32))


def test_logit_is_scipys_and_stays_finite() -> None:
    given_probabilities = np.array([0.0, 0.2, 0.5, 0.999, 1.0], np.float32)

    result = logit(given_probabilities)

    expected = scipy.special.logit(given_probabilities[1:4].astype(np.float64))
    np.testing.assert_allclose(result[1:4], expected, rtol=1e-6)
    assert np.isfinite(result).all()
    assert np.isnan(logit(np.array([np.nan]))).all()


def test_a_model_that_gives_only_probabilities_keeps_them_bit_for_bit() -> None:
    probabilities = np.array([[0.1, 0.9]], np.float32)

    prediction = prediction_from_outputs({"probabilities": probabilities}, np.zeros((1, 2, 2, 1), np.float32))

    np.testing.assert_array_equal(prediction.probabilities, probabilities)
    assert prediction.maps is None


def test_a_batch_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2, 2, 3\); received \(2, 2, 2, 3\)"):
        check_shape(np.zeros((2, 2, 2, 3), np.float32), (1, 2, 2, 3))


def test_nan_from_the_network_stays_nan() -> None:
    logits = np.array([[np.nan, 0.0]], np.float32)

    prediction = prediction_from_outputs({"logits": logits}, np.zeros((1, 2, 2, 1), np.float32))

    np.testing.assert_array_equal(prediction.probabilities, np.array([[np.nan, 0.5]], np.float32))
