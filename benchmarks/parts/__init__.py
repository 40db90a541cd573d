"""What the benchmarks share: figures with targets, films, models, and what a command cost."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports TensorFlow, here or in a child
