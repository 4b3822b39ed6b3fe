# Sourced by the other scripts, from the root of the repository: the Python environment in .venv, made once.
#
# browser              finds the Chromium that tests/browser drives, and installs Debian's where it may (root, apt).
# programs             finds nginx, prometheus and promtool, which run what deploy/ ships, and fetches Debian's where it may.
# typed_programs       sees that what the documentation has one type is there (curl, openssl), and installs it where it may.
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

typed_programs() {
    for program in curl openssl; do
        command -v "$program" >/dev/null 2>&1 && continue
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            echo "installing $program, which the documentation has one type" >&2
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$program"; } >&2 ||
                fail "cannot install $program; its output is above"
        fi
        command -v "$program" >/dev/null 2>&1 || fail "no $program found, which tests/docs needs; on Debian: sudo apt-get install -y $program"
    done
}

# From PATH, or from .tools; only one that runs: an unpacked program may lack a library.
find_program() {
    found=$(PATH="$PATH:/usr/sbin:$PWD/.tools/usr/sbin:$PWD/.tools/usr/bin" command -v "$1") &&
        "$found" "$2" >/dev/null 2>&1 && printf '%s\n' "$found"
}

find_programs() {
    : "${PUSHPULL_NGINX:=$(find_program nginx -v)}"
    : "${PUSHPULL_PROMETHEUS:=$(find_program prometheus --version)}"
    : "${PUSHPULL_PROMTOOL:=$(find_program promtool --version)}"
    [ -n "$PUSHPULL_NGINX" ] && [ -n "$PUSHPULL_PROMETHEUS" ] && [ -n "$PUSHPULL_PROMTOOL" ]
}

download_programs() {
    (cd "$1" && apt-get download -qq -o APT::Sandbox::User=root nginx prometheus)
}

# Debian's packages, unpacked into .tools. To install them would start two services, nginx on port 80 among them.
unpack_programs() {
    unpacking=$(mktemp -d .tools.XXXXXX)
    # What apt knows may be nothing yet, or too old: then it must be updated, which root alone may.
    download_programs "$unpacking" 2>/dev/null ||
        { [ "$(id -u)" = 0 ] && apt-get update -qq && download_programs "$unpacking"; } ||
        { rm -rf "$unpacking" && return 1; }
    for package in "$unpacking"/*.deb; do
        dpkg-deb --extract "$package" "$unpacking" || { rm -rf "$unpacking" && return 1; }
    done
    rm -rf "$unpacking"/*.deb .tools
    mv "$unpacking" .tools
    if ! find_programs && [ "$(id -u)" = 0 ]; then
        libraries=$(apt-cache depends nginx prometheus | sed -n 's/^  Depends: \(lib[^j].*\|zlib.*\)/\1/p')
        # shellcheck disable=SC2086 # a word each
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $libraries
    fi
}

programs() {
    if ! find_programs && command -v apt-get >/dev/null 2>&1; then
        echo "unpacking Debian's nginx and prometheus into .tools for the tests of deploy/" >&2
        unpack_programs >&2 || fail "cannot fetch Debian's nginx and prometheus; first: sudo apt-get update"
    fi
    { find_programs && command -v "$PUSHPULL_NGINX" && command -v "$PUSHPULL_PROMETHEUS" && command -v "$PUSHPULL_PROMTOOL"; } >/dev/null ||
        fail "no nginx, prometheus or promtool that runs, which the tests of deploy/ need; install them, or name them: PUSHPULL_NGINX=/path/to/nginx PUSHPULL_PROMETHEUS=… PUSHPULL_PROMTOOL=… $0"
    export PUSHPULL_NGINX PUSHPULL_PROMETHEUS PUSHPULL_PROMTOOL
}
