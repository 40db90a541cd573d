#!/usr/bin/env bash
# Prints a Python that can build the virtual environment: 3.11 to 3.13, with venv and the modules we need.
# $PYTHON names one outright. Where only Debian's split-off venv package is missing, it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

version_of() { # "3.12", or nothing if $1 is no suitable Python (a pyenv shim may be there and not run)
    "$1" -c 'import sys
if (3, 11) <= sys.version_info[:2] <= (3, 13): print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}
complete() { "$1" -c 'import ensurepip, venv, ssl, sqlite3' 2>/dev/null; }

candidates=(python3 python3.11 python3.12 python3.13)
[ -z "${PYTHON:-}" ] || candidates=("$PYTHON")

for python in "${candidates[@]}"; do
    if [ -n "$(version_of "$python")" ] && complete "$python"; then
        command -v "$python"
        exit 0
    fi
done

for python in "${candidates[@]}"; do
    version=$(version_of "$python")
    [ -n "$version" ] || continue
    if scripts/apt_install.sh "python$version-venv" >&2 && complete "$python"; then
        command -v "$python"
        exit 0
    fi
    echo "$python has no venv, ssl or sqlite3 module. On Debian or Ubuntu: sudo apt-get install python$version-venv" >&2
    exit 1
done

echo "Python 3.11, 3.12 or 3.13 is needed and none was found (on Ubuntu 22.04: sudo apt-get install" \
    "python3.11 python3.11-venv). One that lies elsewhere: make PYTHON=/path/to/python3.12 ..." >&2
exit 1
