#!/usr/bin/env bash
# Pins dependencies, with hashes, for every supported Python (3.11 to 3.13) and platform.
# $PIP_FIND_LINKS, or FIND_LINKS, names a folder or page with torch's +cpu wheels for requirements/torch.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { .venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate "$@"; }

compile pyproject.toml --universal -o requirements/runtime.txt
compile pyproject.toml --extra ray --universal -c requirements/runtime.txt -o requirements/ray.txt
compile pyproject.toml --extra dev --universal -c requirements/runtime.txt -o requirements/dev.txt
find_links=${FIND_LINKS:-${PIP_FIND_LINKS:-}}
compile requirements/torch.in -c requirements/dev.txt ${find_links:+--find-links "$find_links"} -o requirements/torch.txt
