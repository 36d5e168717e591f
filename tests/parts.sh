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
if [ "${#missing[@]}" -gt 0 ]; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install --quiet=2 --yes "${missing[@]}" > /dev/null
fi
