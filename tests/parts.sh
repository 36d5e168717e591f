#!/usr/bin/env bash
# Installs what some tests need beside git, bash, a C compiler and Rust: just (pinned, into a cache
# outside the repository), strace and bubblewrap (the distribution's).
set -euo pipefail

just=1.59.0
cache=${BEADLINE_PARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/beadline}

if [ ! -x "$cache/bin/just" ] || [ "$("$cache/bin/just" --version)" != "just $just" ]; then
    cargo install --quiet --locked --root "$cache" "just@$just"
fi

missing=()
command -v strace > /dev/null || missing+=(strace)
command -v bwrap > /dev/null || missing+=(bubblewrap)
command -v python3 > /dev/null || missing+=(python3)
command -v npm > /dev/null || missing+=(nodejs npm)
if [ "${#missing[@]}" -gt 0 ]; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install --quiet=2 --yes "${missing[@]}" > /dev/null
fi

# Coding agents, pinned, for the tests that run them against a model of their own.
agent() { # NAME PACKAGE VERSION
    local home=$cache/$1-$3
    if [ ! -e "$home/complete" ]; then
        npm install --prefix "$home" --no-audit --no-fund --loglevel=error "$2@$3"
        touch "$home/complete"
    fi
    mkdir -p "$cache/bin"
    ln -sfn "$home/node_modules/.bin/$1" "$cache/bin/$1"
}
agent codex @openai/codex 0.169.0
agent gemini @google/gemini-cli 0.61.0
agent opencode opencode-ai 1.18.33
