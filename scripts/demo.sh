#!/usr/bin/env bash
# Tag a copy of sample_photos/ and show the report, then run again to show that nothing is written twice.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh
photos=demo_photos
rm -rf "$photos"
cp -r sample_photos "$photos"
show() { echo; echo "\$ $*"; }
show landmark-tag "$photos" --min-conf 0.6
.venv/bin/landmark-tag "$photos" --min-conf 0.6 --report "$photos/report.csv"
show column report.csv
.venv/bin/python - "$photos/report.csv" <<'PY'
import sys

import pandas as pd

rows = pd.read_csv(sys.argv[1])
rows["photo"] = rows["path"].str.rsplit("/", n=1).str[-1]
shown = ["photo", "status", "landmark", "confidence", "latitude", "longitude", "reason"]
print(rows[shown].to_string(index=False, na_rep="", max_colwidth=44))
PY
if command -v exiftool >/dev/null; then
    show exiftool -GPSPosition "$photos"
    exiftool -q -q -n -if '$GPSPosition' -p '$FileName  $GPSPosition  ${GPSAreaInformation;}' -ext jpg -ext png "$photos"
fi
show "landmark-tag $photos --min-conf 0.6   # again: nothing left to do"
.venv/bin/landmark-tag "$photos" --min-conf 0.6 --report "$photos/report.csv"
