"""What the benchmarks share: figures with targets, films, models, and what a command cost."""
