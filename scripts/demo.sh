#!/usr/bin/env bash
# Scores the phantoms of sample_data/ and a real CR chest (from the package pydicom-data) into demo/run.
set -euo pipefail
cd "$(dirname "$0")/.."

real=$(.venv/bin/python -c 'import data_store, pathlib
print(pathlib.Path(data_store.__file__).parent / "data" / "RG1_UNCR.dcm")')
mkdir -p demo
code=0
.venv/bin/cxrbatch score sample_data "$real" --out demo/run --fresh || code=$?
# 3: finished, with a file that failed. The samples hold a broken one on purpose.
[ "$code" -eq 0 ] || [ "$code" -eq 3 ] || exit "$code"

key=$(.venv/bin/python -c 'import csv
print(next(row["study_key"] for row in csv.DictReader(open("demo/run/scores.csv")) if row["path"].endswith("RG1_UNCR.dcm")))')

echo
echo "Done. Open in a browser:  file://$PWD/demo/run/index.html   (the worklist)"
echo "                          file://$PWD/demo/run/audit.html   (what ran, what was left out and why)"
echo "The real film's report:   $PWD/demo/run/reports/$key/report.pdf"
echo "Scores as tables:         $PWD/demo/run/scores.csv, studies.csv and rejected.csv beside it"
