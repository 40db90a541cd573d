#!/usr/bin/env bash
# Known vulnerabilities in the pinned dependencies, by pip-audit. It needs a database on the network: where
# none answers, this says so and succeeds, within four minutes whatever the network does.
# Exit status: 0 nothing known or skipped, 1 a vulnerability is known.
set -uo pipefail
cd "$(dirname "$0")/.."

LIMIT=${CXRBATCH_AUDIT_SECONDS:-120}
uv=.venv/bin/uv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() {
    echo "audit skipped: $1" >&2
    exit 0
}

audit() { # REQUIREMENTS OPTION...: the report in $work/report.json
    timeout --kill-after=5 "$LIMIT" "$uv" tool run --quiet pip-audit==2.10.0 --progress-spinner off --timeout 10 \
        --disable-pip --format json --requirement "$@" >"$work/report.json" 2>"$work/errors" </dev/null
    local status=$?
    [ $status -eq 124 ] || [ $status -eq 137 ] && skip "no vulnerability database answered within $LIMIT s."
}

read_report() {
    .venv/bin/python - "$work/report.json" <<'PYTHON'
import json
import sys

try:
    with open(sys.argv[1], encoding="utf-8") as file:
        dependencies = json.load(file)["dependencies"]
except (ValueError, KeyError, TypeError):
    sys.exit(3)
found = [(one, vulnerability) for one in dependencies for vulnerability in one.get("vulns", [])]
for one, vulnerability in found:
    mended = ", ".join(vulnerability["fix_versions"]) or "no version"
    print(f"{one['name']} {one['version']}: {vulnerability['id']}, mended in {mended}")
unknown = [one["name"] for one in dependencies if "skip_reason" in one]
print(f"audit: {len(dependencies) - len(unknown)} packages looked up, {len(found)} known vulnerabilities.")
if unknown:
    print(f"audit: the database does not know {', '.join(unknown)}.")
sys.exit(bool(found))
PYTHON
}

[ -x "$uv" ] || skip "$uv is missing (make setup)."

# A mirror may answer and know of nothing: a release that is known to be vulnerable must be found first.
echo "jinja2==2.10" >"$work/canary.txt"
audit "$work/canary.txt" --no-deps
read_report >/dev/null
[ $? -eq 1 ] || skip "no vulnerability database can be reached (it does not know that jinja2 2.10 is vulnerable)."

# Hashes are in the file, so nothing is resolved or installed: only names and versions are looked up.
audit requirements/runtime.txt --require-hashes
read_report
status=$?
[ $status -eq 3 ] && skip "the vulnerability database stopped answering."
exit $status
