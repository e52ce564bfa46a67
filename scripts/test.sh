#!/usr/bin/env bash
# Everything that must pass: ruff, mypy, pytest. Without arguments the fast tier of the tests; with
# "all" every test, slow kinds beside the fast ones; other arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh test
.venv/bin/ruff format --check .
.venv/bin/ruff check .
# Each of the many processes that tests start would compile all modules anew.
unset PYTHONDONTWRITEBYTECODE
# One thread: on a busy machine, OpenMP threads that wait for each other stall a test for minutes.
export OMP_NUM_THREADS=1
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
names=() processes=()

beside() { # NAME COMMAND...: run it beside the others
    names+=("$1")
    "${@:2}" >"$logs/$1" 2>&1 &
    processes+=($!)
}

pytest() { .venv/bin/python -m pytest -o cache_dir=".pytest_cache/$1" "${@:2}"; }

wait_for_all() { # show what each said, then the last line of each
    local failed=0 number
    for number in "${!processes[@]}"; do
        wait "${processes[number]}" || failed=1
        echo "== ${names[number]}"
        cat "$logs/${names[number]}"
    done
    echo "== summary"
    for number in "${!names[@]}"; do
        echo "${names[number]}: $(tail -n 1 "$logs/${names[number]}")"
    done
    exit "$failed"
}

two=(-n 2 --dist loadfile) # processes, each of which takes a file when it has none
cluster="tests/test_cluster.py" # waits often, and starts many processes
browser="tests/test_app_browser*.py" # a process that runs these alone imports no other tests

case "${1-}" in
"")
    beside mypy .venv/bin/mypy
    beside tests pytest fast -m "not slow" "${two[@]}"
    wait_for_all
    ;;
all)
    beside mypy .venv/bin/mypy
    beside cluster pytest cluster -m slow $cluster
    # In alphabetical order: files of few tests, of which each takes a minute, come first.
    beside slow pytest slow -m slow --ignore-glob="$browser" --ignore="$cluster" \
        "${two[@]}" --no-loadscope-reorder
    beside browser pytest browser -m slow $browser
    beside tests pytest fast -m "not slow" "${two[@]}"
    wait_for_all
    ;;
*)
    .venv/bin/mypy
    .venv/bin/python -m pytest "$@"
    ;;
esac
