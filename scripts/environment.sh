# Sourced by the other scripts, from the root of the repository: the Python environment in .venv, made once.
#
# browser              finds the Chromium that tests/browser drives, and installs Debian's where it may (root, apt).
# environment EXTRAS   makes .venv if need be and installs pushpull[EXTRAS] into it, in editable mode. Does nothing when
#                      that was done before for this pyproject.toml. Progress and errors go to stderr.

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer found (looked for ${PYTHON:+$PYTHON, }python3, python3.14 to python3.11, python); install one, or name it: PYTHON=/path/to/python $0"
}

make_venv() {
    python=$(find_python) || exit 1
    echo "making the environment in .venv with $("$python" --version 2>&1)" >&2
    rm -rf .venv
    # Debian ships venv without the part that brings pip; the system's own pip, where there is one, can stand in.
    if "$python" -c 'import ensurepip' >/dev/null 2>&1; then
        "$python" -m venv .venv >&2 || fail "cannot make .venv with $python"
    elif "$python" -m pip --python "$python" --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip .venv >&2 || fail "cannot make .venv with $python"
        "$python" -m pip --python .venv/bin/python install --quiet pip >&2 || fail "cannot install pip into .venv"
    else
        fail "$python cannot make environments with pip; install its venv package (on Debian and Ubuntu: apt install python3-venv)"
    fi
}

environment() {
    extras=$1
    here=$(pwd -P)
    # Programs in an environment begin with its path: one that was moved along with the clone is made anew.
    if ! new_enough .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1 ||
        [ "$(cat .venv/.made-in 2>/dev/null || echo "$here")" != "$here" ]; then
        make_venv
        printf '%s\n' "$here" >.venv/.made-in
    fi
    stamp=.venv/.installed-$extras
    wanted=$(cksum <pyproject.toml)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        echo "installing pushpull[$extras] into .venv" >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -e ".[$extras]" >&2 ||
            fail "pip could not install pushpull[$extras]; its output is above"
        printf '%s\n' "$wanted" >"$stamp"
    fi
}

find_browser() {
    for candidate in "${PUSHPULL_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

browser() {
    if [ -n "${PUSHPULL_CHROMIUM:-}" ]; then
        command -v "$PUSHPULL_CHROMIUM" >/dev/null 2>&1 || fail "PUSHPULL_CHROMIUM is $PUSHPULL_CHROMIUM, which is no program"
    elif ! find_browser >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing Chromium for the tests in a browser" >&2
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >&2 ||
            fail "cannot install Chromium; its output is above"
    fi
    PUSHPULL_CHROMIUM=$(find_browser) ||
        fail "no Chromium or Chrome found, which tests/browser needs; on Debian: sudo apt-get install -y --no-install-recommends chromium; or name one: PUSHPULL_CHROMIUM=/path/to/chromium $0"
    export PUSHPULL_CHROMIUM
}
