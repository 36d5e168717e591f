#!/usr/bin/env bash
# Installs what some tests need beside git, bash, a C compiler and Rust: just (pinned, into a cache
# outside the repository), gitea (pinned, built with Go), strace and bubblewrap (the distribution's).
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

# gitea: a forge of its own for the tests. A module of ours requires it, as its own `replace` lines
# keep `go install` from building it; the server reads its templates and locales from a folder.
gitea=1.26.0
gitea() {
    local module=code.gitea.io/gitea@v$gitea build from
    [ ! -x "$cache/gitea-$gitea/gitea" ] || return 0
    build=$(mktemp -d)
    (
        cd "$build"
        go mod init scratch
        go mod edit "-require=$module"
        go mod download -json "$module" > module.json
        from=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' module.json)
        grep '^replace' "$(sed -n 's/.*"GoMod": "\(.*\)".*/\1/p' module.json)" >> go.mod
        mkdir done
        CGO_ENABLED=1 go build -mod=mod -tags sqlite,sqlite_unlock_notify \
            -ldflags "-s -w -X main.Version=$gitea" -o done/gitea code.gitea.io/gitea
        cp -R "$from/options" "$from/templates" "$from/public" done/
        chmod -R u+w done
    ) > "$build/log" 2>&1 || { cat "$build/log" >&2; return 1; }
    mkdir -p "$cache"
    # By rename: it is there whole, or not at all.
    rm -rf "$cache/gitea-$gitea.new"
    mv "$build/done" "$cache/gitea-$gitea.new"
    rm -rf "$cache/gitea-$gitea"
    mv "$cache/gitea-$gitea.new" "$cache/gitea-$gitea"
    rm -rf "$build"
}
gitea
