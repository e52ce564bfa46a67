#!/usr/bin/env bash
# Everything that must pass: ruff, mypy, pytest. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh test
.venv/bin/ruff format --check .
.venv/bin/ruff check .
.venv/bin/mypy
# One thread: on a busy machine, OpenMP threads that wait for each other stall a test for minutes.
OMP_NUM_THREADS=1 .venv/bin/python -m pytest "$@"
