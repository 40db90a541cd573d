"""Which film check a run works with."""

from __future__ import annotations

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.bundles.film_check import read_film_check
from cxrbatch.film_check.judgement import Judge, judge_begun_with
from cxrbatch.film_check.site_limits import judge_for
from cxrbatch.request import RequestError

NONE = "none: this model has no film check, so nothing is said of how films look"
"""In run.json."""


def judge_of_run(bundle: Bundle, begun: object, reject: bool) -> Judge | None:
    """The judge of a run with `bundle`; None where the bundle has no film check.

    `begun` are the settings that the run began with, None for a new one: a run goes on with its limits, also
    when the site has calibrated others since.

    Raises:
        RequestError: unusual films are to be rejected, and nothing can tell them.
        BundleError: the arrays or the site's limits cannot be read.
    """
    check = read_film_check(bundle)
    if check is None:
        if reject:
            raise RequestError(
                f"--reject-unusual needs a film check, and the model '{bundle.card.name}' has none: leave "
                "the option out, or fit one with `cxrbatch model fit-intake`."
            )
        return None
    if isinstance(begun, dict) and "film_limits" in begun:
        return judge_begun_with(begun, reject)
    return judge_for(bundle, check, reject)
