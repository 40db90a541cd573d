"""Synthetic cohorts: projected phantoms with planted findings, in many encodings."""
