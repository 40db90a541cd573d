"""Model bundles: architectures, loading, verifying, saving, converting public weights, the card."""
