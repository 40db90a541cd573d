#!/usr/bin/env bash
# .venv with the pinned, hash-checked packages of requirements/dev.txt. A usable one is kept and brought up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! .venv/bin/python -c 'import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
    python=$(scripts/find_python.sh)
    echo "Making .venv with $("$python" --version) ($python)"
    "$python" -m venv --clear .venv
fi
echo "Installing the pinned packages of requirements/dev.txt (about 2 GB on disk; some minutes the first time)"
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r requirements/dev.txt
