#!/usr/bin/env bash
# The whole line on a scratch repository: plain git as forge, beads in a file, an agent that is a
# script. Needs git and the built programs; leaves the folder that it names, and nothing else.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/beadline-demo.XXXXXX")
export HOME=$scratch/home GIT_CONFIG_NOSYSTEM=1
mkdir "$HOME"
git config --global user.name demo
git config --global user.email demo@example.invalid
git config --global init.defaultBranch main

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

export BEADLINE_AGENT="sh $here/demo-agent.sh"
export BEADLINE_CHECK='sh check.sh'
line() { just --justfile "$here/../justfile" "$@"; }

echo '== before'
line orchestrate-status
echo '== the line at work: just orchestrate'
start=$(date +%s%N)
line orchestrate
took=$(( ($(date +%s%N) - start) / 1000000 ))
echo '== after'
line orchestrate-status
echo '== main'
git fetch --quiet && git log --graph --format='%h %s' origin/main
printf '== done in %d.%d s; all of it lies in %s\n' $((took / 1000)) $((took % 1000 / 100)) "$scratch"
