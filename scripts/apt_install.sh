#!/usr/bin/env bash
# Installs Debian packages, where the user may: as root, or with a sudo that asks for no password.
# Names that this release does not have are left out. Exit 1, silently, where it may not.
set -euo pipefail

command -v apt-get >/dev/null || exit 1
if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env)
else
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -y -qq "$@" </dev/null >>"$log" 2>&1; }

echo "Installing system packages: $*"
apt update || true # an old list of packages may still do
known=()
for package in "$@"; do
    if apt-cache show "$package" >/dev/null 2>&1; then known+=("$package"); fi
done
[ ${#known[@]} -gt 0 ] || exit 1
if ! apt install --no-install-recommends "${known[@]}"; then
    tail -n 5 "$log" >&2
    exit 1
fi
