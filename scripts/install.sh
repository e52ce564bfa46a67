#!/usr/bin/env bash
# Make .venv and install this checkout with the extras named, "test" for instance; quick when done.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=${1:-}
stamp=.venv/installed-${extras:-plain}
want=$(cat setup.cfg setup.py pyproject.toml tagger/*/*.c | sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && exit 0
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "landmark-tag needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2
    exit 1
fi
.venv/bin/python -m pip --version > /dev/null 2>&1 || "$python" -m venv --clear .venv
free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
if [ "$free" -lt 8 ]; then
    echo "Only $free GB are free here; on x86-64 .venv takes 7 with PyTorch's CUDA libraries." >&2
fi
rm -f tagger/*/_*.cpython-*.so  # of older versions, found before .abi3.so
echo "Installing into .venv (PyTorch is large: a few minutes the first time) ..." >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${extras:+[$extras]}" \
    2> >(grep -v '^WARNING: Location' >&2)
echo "$want" | tee "$stamp" > .venv/installed-plain
