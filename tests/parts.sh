#!/usr/bin/env bash
# Installs what some tests need beside git, bash, a C compiler and Rust: pinned and built into a
# cache outside the repository, once; strace, bubblewrap and gh are the distribution's.
# Needs Go for bd, Dolt and Gitea.
set -euo pipefail

just=1.59.0
beads=1.3.0
gitea=1.26.0
openapi=23.0.2
graphql=15.26.1
pygithub=2.10.0
myworld=0.2.1
mergetrain=3.7.1
cache=${BEADLINE_PARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/beadline}
mkdir -p "$cache/bin"

# Whether a part is there in this version; `made NAME VERSION` notes that it is.
have() { [ -x "$cache/bin/$1" ] && [ "$(cat "$cache/$1.version" 2> /dev/null)" = "$2" ]; }
made() { echo "$2" > "$cache/$1.version"; }

missing=()
command -v strace > /dev/null || missing+=(strace)
command -v bwrap > /dev/null || missing+=(bubblewrap)
command -v python3 > /dev/null || missing+=(python3)
python3 -c 'import ensurepip' 2> /dev/null || missing+=(python3-venv)
command -v gh > /dev/null || missing+=(gh)
command -v npm > /dev/null || missing+=(nodejs npm)
if [ "${#missing[@]}" -gt 0 ]; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install --quiet=2 --yes "${missing[@]}" > /dev/null
fi

if ! have just "$just"; then
    cargo install --quiet --locked --root "$cache" "just@$just"
    made just "$just"
fi

# bd, and the Dolt server that its module names. By a module of our own: `go install` wants the list
# of all versions, which not every proxy has. The pure-Go regular expressions spare libicu.
if ! have bd "$beads" || ! have dolt "$beads"; then
    module=$(mktemp -d)
    printf 'module parts\ngo 1.26\nrequire github.com/steveyegge/beads v%s\n' "$beads" > "$module/go.mod"
    for part in bd:github.com/steveyegge/beads/cmd/bd dolt:github.com/dolthub/dolt/go/cmd/dolt; do
        (cd "$module" && CGO_ENABLED=1 GOFLAGS='-mod=mod -tags=gms_pure_go' \
            go build -ldflags=-s -o "$cache/bin/${part%%:*}" "${part#*:}" 2> "$module/log") || { cat "$module/log" >&2; exit 1; }
        made "${part%%:*}" "$beads"
    done
    rm -r "$module"
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

# Gitea. By a module of our own, too, as `go install` refuses its `replace` lines, which are taken
# over. The server reads templates and locales from its sources.
if [ ! -x "$cache/gitea-$gitea/gitea" ]; then
    module=$(mktemp -d)
    # A shell of its own: behind `||` a failing command would be gone over.
    (cd "$module" && bash -euo pipefail -c '
        go mod init parts
        go mod edit "-require=code.gitea.io/gitea@v$1"
        go mod download -json "code.gitea.io/gitea@v$1" > module.json
        of() { sed -n "s/.*\"$1\": \"\(.*\)\".*/\1/p" module.json; }
        grep "^replace" "$(of GoMod)" >> go.mod
        mkdir done
        CGO_ENABLED=1 go build -mod=mod -tags sqlite,sqlite_unlock_notify \
            -ldflags "-s -w -X main.Version=$1" -o done/gitea code.gitea.io/gitea
        cp -R "$(of Dir)"/{options,templates,public} done/
        chmod -R u+w done' - "$gitea" > "$module/log" 2>&1) || { cat "$module/log" >&2; exit 1; }
    rm -rf "$cache/gitea-$gitea" "$cache/gitea.new"
    mv "$module/done" "$cache/gitea.new"
    # In one step: it is there whole, or not at all.
    mv "$cache/gitea.new" "$cache/gitea-$gitea"
    rm -rf "$module"
fi

# GitHub's descriptions of its REST and GraphQL APIs: of hundreds of megabytes, what tests read.
described=$cache/github-$openapi-$graphql
trim=$(dirname "$0")/github/trim.py
if ! cmp --quiet "$trim" "$described/trim.py"; then
    made=$(mktemp -d)
    npm install --prefix "$made" --no-audit --no-fund --loglevel=error \
        "@octokit/openapi@$openapi" "@octokit/graphql-schema@$graphql"
    mkdir -p "$described"
    python3 "$trim" "$made/node_modules/@octokit/openapi/generated/api.github.com.json" "$described/rest.json"
    cp "$made/node_modules/@octokit/graphql-schema/schema.graphql" "$described"
    # Last, as it says that all is there.
    cp "$trim" "$described"
    rm -r "$made"
fi

# What GitHub really answered, as PyGithub's tests have recorded it (LGPL: not kept in the repository).
recorded=$cache/pygithub-$pygithub
convert=$(dirname "$0")/github/recordings.py
if ! cmp --quiet "$convert" "$recorded/recordings.py"; then
    made=$(mktemp -d)
    python3 -m venv "$made/venv"
    "$made/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
        --dest "$made" "PyGithub==$pygithub"
    tar --extract --gzip --directory "$made" --file "$made/pygithub-$pygithub.tar.gz"
    mkdir -p "$recorded"
    python3 "$convert" "$made/pygithub-$pygithub/tests/ReplayData" "$recorded/exchanges.jsonl"
    cp "$convert" "$recorded"
    rm -r "$made"
fi

# A stateful double of GitHub, in an environment of its own.
double=$cache/myworld-$myworld
if [ ! -e "$double/complete" ]; then
    python3 -m venv --clear "$double"
    "$double/bin/pip" install --quiet --disable-pip-version-check "myworld[gateway]==$myworld"
    touch "$double/complete"
fi

# The merge queue that ours is measured beside.
train=$cache/mergetrain-$mergetrain
if [ ! -e "$train/complete" ]; then
    python3 -m venv --clear "$train"
    "$train/bin/pip" install --quiet --disable-pip-version-check "mergetrain==$mergetrain"
    touch "$train/complete"
fi
