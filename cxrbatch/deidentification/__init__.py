"""Pseudonyms in place of whatever says who a patient is (``--deidentify``)."""
