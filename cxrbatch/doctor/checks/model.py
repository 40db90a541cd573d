"""The model, by each runtime: its files have the right hashes and it gives its golden output here."""

from __future__ import annotations

from typing import Literal

from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem


def check_openvino(subject: Subject) -> Outcome:
    """On the processor. The first time it takes half a minute: the model is prepared and cached."""
    return _check(subject, "openvino")


def check_keras(subject: Subject) -> Outcome:
    """Keras on TensorFlow."""
    return _check(subject, "keras")


def _check(subject: Subject, runtime: Literal["openvino", "keras"]) -> Outcome:
    from cxrbatch.bundles.bundle import open_bundle
    from cxrbatch.bundles.errors import BundleError
    from cxrbatch.scoring.predictor import load_predictor

    try:
        bundle = open_bundle(subject.model)
        load_predictor(bundle, runtime)
    except (BundleError, FileNotFoundError) as error:
        return problem(
            str(error), "Install cxrbatch again, or give another --model (see `cxrbatch model list`)."
        )
    card = bundle.card
    return ok(f"{card.name} {card.version} ({bundle.sha256[:12]}) gives its golden output")
