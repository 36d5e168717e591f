#!/usr/bin/env bash
# The whole line on a scratch repository: plain git as forge, beads in a file, an agent that is a
# script. Needs git and the built programs; leaves the folder that it names, and nothing else. Exit
# status: 0 only if everything happened that it is to show.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" != clean ]; then
    # Nothing that a variable of the caller's names is read or written, git's settings above all.
    # What passes says where the programs are.
    passes=(PATH="$PATH")
    for name in BEADLINE_BIN CARGO_HOME CARGO_TARGET_DIR TMPDIR TERM LANG; do
        [ -z "${!name:-}" ] || passes+=("$name=${!name}")
    done
    exec env -i "${passes[@]}" bash "$here/demo.sh" clean
fi
scratch=$(mktemp -d "${TMPDIR:-/tmp}/beadline-demo.XXXXXX")
export HOME=$scratch/home GIT_CONFIG_NOSYSTEM=1 GIT_CEILING_DIRECTORIES=$scratch
mkdir "$HOME"
cat > "$HOME/.gitconfig" <<'CONFIG'
[user]
    name = demo
    email = demo@example.invalid
[init]
    defaultBranch = main
CONFIG

git init --quiet --bare "$scratch/remote.git"
git clone --quiet "$scratch/remote.git" "$scratch/work" 2>/dev/null
cd "$scratch/work"
cat > check.sh <<'CHECK'
# Every greeting has to be polite, and the list of languages sorted.
grep -L please -- *.txt | grep . && exit 1
sort -c languages
CHECK
printf 'English\n' > languages
printf 'Hello, please.\n' > english.txt
printf '/.beads/\n' > .gitignore
git add . && git commit --quiet --message 'A greeter' && git push --quiet origin main

mkdir .beads
bead() { # id, title, priority, type, dependencies
    printf '{"id":"%s","title":"%s","status":"open","priority":%d,"issue_type":"%s","created_at":"2026-01-01T00:00:0%dZ","dependencies":[%s]}\n' \
        "$1" "$2" "$3" "$4" "$3" "$5"
}
on() { printf '{"issue_id":"","depends_on_id":"%s","type":"%s"}' "$1" "$2"; }
{
    bead demo-1   'Epic: greet the world'        1 epic ''
    bead demo-1.1 'Greet in German'              1 task "$(on demo-1 parent-child)"
    bead demo-1.2 'Greet in French'              1 task "$(on demo-1 parent-child)"
    bead demo-1.3 'Greet in Italian, politely'   0 task "$(on demo-1 parent-child)"
    bead demo-1.4 'Greet in Latin'               2 task "$(on demo-1 parent-child),$(on demo-1.1 blocks),$(on demo-1.2 blocks)"
    bead demo-2   'Announce the finished epic'   3 task "$(on demo-1 blocks)"
    bead demo-3   'Ask the users what they want' 3 task ''
} > .beads/issues.jsonl

export BEADLINE_AGENT="sh $(printf %q "$here/demo-agent.sh")"
export BEADLINE_CHECK='sh check.sh'
missed=0
expect() { # what, how many, pattern
    local found
    found=$(grep -Ec "$3" .beads/issues.jsonl || true)
    [ "$found" = "$2" ] && return
    echo "demo: expected $2 $1, found $found" >&2
    missed=1
}
line() { just --justfile "$here/../justfile" "$@"; }

echo '== before'
line orchestrate-status
echo '== the line at work: just orchestrate'
start=$(date +%s%N)
line orchestrate
took=$(( ($(date +%s%N) - start) / 1000000 ))
echo '== after'
line orchestrate-status
expect 'beads landed' 5 '"status":"closed".*"phase":"merged"'
expect 'epic closed' 1 '"id":"demo-1",.*"status":"closed"'
expect 'bead for a person' 1 '"id":"demo-3",.*"status":"blocked"'
expect 'bead with a failed attempt' 1 '"id":"demo-1.3",.*"attempt":2'
expect 'bead sent back for a conflict' 1 '"id":"demo-1.[12]",.*"(round|conflicts)":1'
echo '== main'
git fetch --quiet && git log --graph --format='%h %s' origin/main
printf '== done in %d.%d s; all of it lies in %s\n' $((took / 1000)) $((took % 1000 / 100)) "$scratch"
if [ "$missed" = 1 ]; then
    echo 'demo: this is not the story that it is to tell' >&2
    exit 1
fi
