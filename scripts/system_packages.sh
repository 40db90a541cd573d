#!/usr/bin/env bash
# The system libraries and fonts that reports need (`reports`), and what tests look at them with (`tests`).
# Looks first, installs what is missing where the user may, else says in one line what to install.
# Exit 1 only if PDFs cannot be made without it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python

loads() { "$python" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" 2>/dev/null; }
has_font() { command -v fc-list >/dev/null && [ -n "$(fc-list ":lang=$1" family 2>/dev/null)" ]; }

essential() { # what WeasyPrint opens by name (weasyprint/text/ffi.py); the first two bring the others along
    loads libpango-1.0.so.0 && loads libgobject-2.0.so.0 && loads libharfbuzz.so.0 || echo libpango-1.0-0
    loads libpangoft2-1.0.so.0 && loads libfontconfig.so.1 || echo libpangoft2-1.0-0
    loads libharfbuzz-subset.so.0 || echo libharfbuzz-subset0
}
fonts() {
    command -v fc-list >/dev/null || echo fontconfig
    has_font en && has_font el && has_font ru || echo fonts-dejavu-core
    has_font ja && has_font ko && has_font zh-cn || echo fonts-noto-cjk
}
for_tests() {
    command -v chromium >/dev/null || echo chromium
    command -v chromedriver >/dev/null || echo chromium-driver
    command -v pdftoppm >/dev/null || echo poppler-utils
    command -v dcm2pnm >/dev/null || echo dcmtk
}

wanted() {
    essential
    fonts
    [ "$1" != tests ] || for_tests
}

what=${1:-reports}
mapfile -t missing < <(wanted "$what")
[ ${#missing[@]} -gt 0 ] || exit 0
scripts/apt_install.sh "${missing[@]}" || true
mapfile -t missing < <(wanted "$what")
[ ${#missing[@]} -gt 0 ] || exit 0

if command -v apt-get >/dev/null; then
    echo "Missing on this machine; install with: sudo apt-get install ${missing[*]}" >&2
else
    echo "Missing on this machine, under their Debian names; install what your system calls them: ${missing[*]}" >&2
fi
if [ "$what" = tests ] && [ -n "$(for_tests)" ]; then
    echo "Tests that need these will be skipped." >&2
fi
[[ " ${missing[*]} " != *" libpango"* ]] # the subset library is still optional in WeasyPrint 70
