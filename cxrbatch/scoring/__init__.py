"""Probabilities and heat maps in one forward pass; and what a probability means for the worklist."""
