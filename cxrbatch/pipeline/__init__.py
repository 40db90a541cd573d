"""From decoded radiographs to batches that fit a bundle: resize, normalise, batch, prefetch."""
