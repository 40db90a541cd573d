"""AUROC and everything around it: pure functions on arrays."""
