"""The site's cxrbatch.toml, if one is given."""

from __future__ import annotations

from cxrbatch.config import ConfigError, load_config
from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem


def check(subject: Subject) -> Outcome:
    """The file can be read, and every key in it is known."""
    if subject.config is None:
        return ok("no file given, everything at its default")
    try:
        load_config(subject.config)
    except ConfigError as error:
        return problem(str(error), "Mend this line.")
    return ok(f"{subject.config} is well formed")
