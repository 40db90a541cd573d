"""One check a module: `check(subject)` gives an `Outcome`."""
