#!/usr/bin/env python3
"""Ratios of the programs to their floors, both measured side by side in one run.

Needs git, jq, the release build of the programs, and bd, dolt and mergetrain of tests/parts.sh. Prints
one line a number: what was measured, the program, its floor, their ratio, and the bound that it is held to.
"""

import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("BEADLINE_BIN", ROOT / "target/release"))
CACHE = os.environ.get("XDG_CACHE_HOME") or os.environ["HOME"] + "/.cache"
PARTS = Path(os.environ.get("BEADLINE_PARTS", CACHE + "/beadline")) / "bin"
PROGRAMS = ["bd-ready", "wt-spawn", "agent-run", "agent-hold", "agent-stop", "pr-open", "pr-merge", "wt-clean", "orch-status"]
AGENT = 'echo "$BEAD_ID" > "$BEAD_ID.txt" && git add . && git commit --quiet -m "$BEAD_ID"'
LINE = "bd-ready --follow | wt-spawn | agent-run | pr-open | pr-merge | wt-clean --all > /dev/null"

# The same raw git commands for one bead, one after the other, as a person would script them.
FLOOR_LINE = r"""
set -eu
for n in $(seq 1 50); do
    id=t-$n branch=agent/t-$n tree=../floor.worktrees/t-$n
    git fetch --quiet --no-tags origin main
    base=$(git rev-parse origin/main)
    git worktree add --quiet -b $branch $tree $base
    (cd $tree; BEAD_ID=$id sh -c "$AGENT"; git status --porcelain > /dev/null)
    head=$(git rev-parse $branch)
    git push --quiet origin $head:refs/heads/$branch
    paper=$(echo $id | git hash-object -w --stdin)
    git ls-remote origin 'refs/pull/*' > /dev/null
    git push --quiet --atomic origin $head:refs/pull/$n/head $paper:refs/beadline/pull/$n $paper:refs/beadline/open/$branch
    merged=$(git merge-tree --write-tree $base $head)
    commit=$(git commit-tree $merged -p $base -m "Task $id")
    paper=$(echo merged $id | git hash-object -w --stdin)
    git push --quiet --atomic --force-with-lease=refs/heads/main:$base --force-with-lease=refs/beadline/pull/$n origin $commit:refs/heads/main +$paper:refs/beadline/pull/$n :refs/beadline/open/$branch
    git ls-remote origin refs/heads/main > /dev/null
    git push --quiet --force-with-lease=refs/heads/$branch:$head origin :refs/heads/$branch
    git worktree remove $tree
    git branch --quiet -D $branch
done
"""

# What landing is without a queue: each pull request is merged, checked and pushed, one after the other.
FLOOR_QUEUE = r"""
set -eu
git worktree add --quiet --detach ../serial origin/main
for n in $(seq 1 20); do
    git fetch --quiet origin main
    tree=$(git merge-tree --write-tree origin/main agent/t-$n)
    commit=$(git commit-tree $tree -p origin/main -m "Task t-$n")
    git -C ../serial checkout --quiet --detach $commit
    (cd ../serial; sh ../check.sh) || continue
    git push --quiet --force-with-lease=refs/heads/main:$(git rev-parse origin/main) origin $commit:refs/heads/main
done
"""

FLOOR_SPAWN = """
set -eu
for n in $(seq 1 64); do git worktree add --quiet --no-checkout -b floor/$n ../floor/$n origin/main; git -C ../floor/$n checkout --quiet -f; done
"""


class Scratch:
    """A remote, a clone of it with some files, a home, and beads."""

    def __init__(self, beads, files=200):
        self.dir = Path(tempfile.mkdtemp(prefix="beadline-bench-"))
        (self.dir / "home").mkdir()
        path = f"{self.dir}/shim:{BIN}:{PARTS}:{PARTS.parent}/mergetrain-3.7.1/bin:{os.environ['PATH']}"
        self.env = {
            "PATH": path, "HOME": str(self.dir / "home"), "LANG": "C.UTF-8", "AGENT": AGENT,
            "GIT_CONFIG_NOSYSTEM": "1", "DO_NOT_TRACK": "1", "BEADLINE_AGENT": AGENT, "BEADLINE_NO_CHECKS": "1",
        }
        self.work = self.dir
        self.sh("git config --global user.name b; git config --global user.email b@example.invalid; git config --global init.defaultBranch main")
        self.sh("git init -q --bare remote.git; git clone -q remote.git work 2> /dev/null")
        self.work = self.dir / "work"
        for n in range(files):
            file = self.work / f"src/{n % 10}/{n}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{n}\n" * 100)
        (self.work / ".gitignore").write_text("/.beads/\n")
        self.sh("git add . && git commit -qm first && git push -q -u origin main && git remote set-head origin main")
        (self.work / ".beads").mkdir()
        (self.work / ".beads/issues.jsonl").write_text("".join(json.dumps(bead) + "\n" for bead in beads))

    def sh(self, script):
        """Runs a script; returns seconds."""
        start = time.perf_counter()
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=self.work, env=self.env, capture_output=True, text=True)
        took = time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"bench: {script}\n{done.stdout}{done.stderr}")
        return took

    def drop(self):
        shutil.rmtree(self.dir)


def bead(n, **more):
    return {"id": f"t-{n}", "title": f"Task {n}", "status": "open", "priority": 2, "issue_type": "task",
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", **more}


def report(what, ours, floor, bound, unit="s"):
    print(f"{what:<48} {ours:>9.3f} {unit}  floor {floor:>9.3f} {unit}  ratio {ours / floor:>6.2f}  ({bound})", flush=True)


def memory(script, env, cwd):
    """The largest resident set, in MiB, of a program that has not been read to its end, or waits
    for input: the kernel's count for a child starts with what its parent had."""
    child = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=cwd)
    time.sleep(1)
    status = Path(f"/proc/{child.pid}/status").read_text()
    child.kill(), child.wait()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def line():
    beads = [bead(n) for n in range(1, 51)]
    ours, floor = Scratch(beads), Scratch(beads)
    took = ours.sh(LINE)
    floor_took = floor.sh(FLOOR_LINE)
    report("the line, 50 tasks", took, floor_took, "at most 1")
    ours.drop(), floor.drop()


def spawn():
    ours, floor = Scratch([bead(n) for n in range(1, 65)]), Scratch([])
    took = ours.sh("bd-ready | wt-spawn --jobs 8 --quiet > /dev/null")
    floor_took = floor.sh(FLOOR_SPAWN)
    report("wt-spawn, 64 worktrees at once", took, floor_took, "at most 1.3")
    ours.drop(), floor.drop()


def ready():
    text = "lorem ipsum dolor sit amet " * 30
    scratch = Scratch([bead(n, description=text, dependencies=[{"issue_id": f"t-{n}", "depends_on_id": f"t-{n - 1}", "type": "blocks"}] if n % 3 else []) for n in range(10_000)], files=1)
    file = scratch.work / ".beads/issues.jsonl"
    pairs = [(scratch.sh("bd-ready > /dev/null"), scratch.sh(f"jq -c . {file} > /dev/null")) for _ in range(5)]
    report("bd-ready, 10,000 beads", *map(statistics.median, zip(*pairs)), "at most 2")
    size = file.stat().st_size / 2**20
    used = memory([str(BIN / "bd-ready")], scratch.env, scratch.work)
    report("bd-ready, 10,000 beads, memory", used, size, "at most 3", "MiB")
    scratch.drop()


def passing():
    merged = bead(1, status="closed", metadata={"phase": "merged", "host": "h"}, description="lorem ipsum " * 60)
    scratch = Scratch([], files=1)
    beads = scratch.dir / "beads"
    beads.write_text("".join(json.dumps({**merged, "id": f"t-{n}"}) + "\n" for n in range(100_000)))
    pairs = [(scratch.sh(f"pr-open < {beads} > /dev/null"), scratch.sh(f"jq -c . {beads} > /dev/null")) for _ in range(3)]
    report("pr-open, 100,000 beads that need nothing", *map(statistics.median, zip(*pairs)), "at most 0.2")
    scratch.drop()


def start_up():
    scratch = Scratch([], files=1)
    rounds = 100
    loop = lambda command: scratch.sh(f"for n in $(seq {rounds}); do {command} > /dev/null; done") / rounds * 1000
    true = statistics.median(loop("/bin/true") for _ in range(3))
    for program in PROGRAMS:
        took = statistics.median(loop(f"{program} --version") for _ in range(3))
        print(f"start-up of {program:<36} {took - true:>9.3f} ms more than true  (at most 5)", flush=True)
    floor = memory(["cat"], scratch.env, scratch.work)
    for program in ["wt-spawn", "agent-run", "pr-open", "pr-merge", "wt-clean"]:
        used = memory([str(BIN / program)], scratch.env, scratch.work)
        print(f"{program:<48} {used - floor:>9.1f} MiB more than cat, waiting for input  (at most 10)", flush=True)
    scratch.drop()


# Logs the verb of each call, then is bd.
SHIM = """#!/bin/sh
case "$1 $*" in list*--id=*) echo show ;; *) echo "$1" ;; esac >> "{log}"
exec "{bd}" "$@"
"""

# One bare call of each kind that the line makes; a write as cheap as a write can be.
BARE = {
    "update": "bd update t-1 --metadata '{\"n\":\"'$RANDOM'\"}' --json",
    "heartbeat": "bd heartbeat t-1 --actor bench --json",
    "show": "bd list --all --limit=0 --id=t-1 --json",
    "list": "bd list --all --limit=0 --json",
    "ready": "bd ready --limit=0 --brief --json",
    "version": "bd version --json",
}


def served(scratch, script, ready):
    """A server of the scratch folder, once it answers."""
    child = subprocess.Popen(["bash", "-c", f"exec {script}"], cwd=scratch.work, env=scratch.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    scratch.sh(f"for n in $(seq 200); do {ready} 2> /dev/null && exit; sleep 0.1; done; exit 1")
    return child


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def on_beads(where):
    """The line on a real database, against the bare bd calls that it made, one after the other."""
    count = 10
    scratch, port, server = Scratch([]), free_port(), None
    init = "bd init --prefix t --non-interactive --skip-agents --skip-hooks --stealth --quiet"
    scratch.sh("rmdir .beads 2> /dev/null || rm -r .beads")
    if where == "server":
        scratch.sh("dolt config --global --add user.name b && dolt config --global --add user.email b@example.invalid && mkdir ../data && cd ../data && dolt init")
        server = served(scratch, f"dolt --data-dir ../data sql-server --host 127.0.0.1 --port {port}", f"(echo > /dev/tcp/127.0.0.1/{port})")
        init += f" --server --server-host 127.0.0.1 --server-port {port}"
    scratch.sh(init)
    lines = "".join(json.dumps(bead(n)) + "\n" for n in range(1, count + 1))
    (scratch.dir / "beads").write_text(lines)
    scratch.sh("bd import ../beads")
    log = scratch.dir / "calls"
    (scratch.dir / "shim").mkdir()
    (scratch.dir / "shim/bd").write_text(SHIM.format(log=log, bd=PARTS / "bd"))
    (scratch.dir / "shim/bd").chmod(0o755)
    took = scratch.sh(LINE)
    calls = Counter(log.read_text().split())
    shutil.rmtree(scratch.dir / "shim")
    scratch.sh("bd update t-1 --status in_progress -a bench --force --json")
    cost = {verb: statistics.median(scratch.sh(f"{BARE[verb]} > /dev/null") for _ in range(5)) for verb in calls}
    floor = sum(cost[verb] * times for verb, times in calls.items())
    report(f"a bead on bd, {where}", took / count, floor / count, "no bound")
    print("    calls a bead: " + ", ".join(f"{verb} {times / count:.1f}" for verb, times in sorted(calls.items())), flush=True)
    if server:
        http = free_port()
        url = f"http://127.0.0.1:{http}"
        serve = served(scratch, f"bd serve --addr 127.0.0.1:{http}", f"curl -sf {url}/healthz > /dev/null")
        scratch.env["BEADLINE_BEADS_URL"] = url
        more = "".join(json.dumps(bead(n)) + "\n" for n in range(101, 101 + count))
        (scratch.dir / "beads").write_text(more)
        scratch.sh("bd import ../beads")
        over_http = scratch.sh(LINE)
        report("a bead over bd serve, against bd on the server", over_http / count, took / count, "no bound")
        patch = f"curl -sf -X PATCH -H 'content-type: application/json' -d '{{\"actor\":\"b\",\"patch\":{{\"metadata\":{{\"merge\":{{\"n\":'$RANDOM'}}}}}}}}' {url}/v0/beads/issues/t-1"
        write = statistics.median(scratch.sh(f"{patch} > /dev/null") for _ in range(5))
        report("a write over bd serve, against a call of bd", write, cost["update"], "no bound")
        serve.terminate(), serve.wait()
        server.kill(), server.wait()
    scratch.drop()


# Says that it ran, takes a second, and is red where one of the red files is.
CHECK = """echo ran >> '{runs}'
sleep 1
for file in red-*; do [ ! -e "$file" ] || {{ echo "$file"; exit 1; }}; done
"""
# The other queue on the same branches. It ends with 1 where something is red.
TRAIN = """
mergetrain init --project p --write > /dev/null
printf 'version: 2\\nproject:\\n  name: p\\ngates:\\n  - name: check\\n    run: %s\\n' "$BEADLINE_CHECK" > .mergetrain.yaml
for n in $(seq 1 20); do mergetrain enqueue --task t-$n --branch agent/t-$n --auto > /dev/null; done
"""
RUN_TRAIN = "mergetrain daemon --once || [ $? = 1 ]"


def pulls(reds):
    """A scratch with 20 pull requests, of which these are red; and its check, which counts its runs."""
    scratch = Scratch([bead(n) for n in range(1, 21)])
    mine = "case $BEAD_ID in " + "|".join(f"t-{n}" for n in [0, *reds]) + ") echo red > red-$BEAD_ID;; esac; "
    scratch.env["BEADLINE_AGENT"] = mine + AGENT
    scratch.sh("bd-ready | wt-spawn --quiet | agent-run --quiet | pr-open --quiet > /dev/null")
    (scratch.dir / "check.sh").write_text(CHECK.format(runs=scratch.dir / "runs"))
    scratch.env["BEADLINE_CHECK"] = f"sh {scratch.dir}/check.sh"
    return scratch


def landed(who, reds, script, prepare="true"):
    """Seconds that landing takes, and how often the check ran; all that are not red have landed."""
    scratch = pulls(reds)
    scratch.sh(prepare)
    took = scratch.sh(script)
    files = subprocess.run(["git", "-C", scratch.dir / "remote.git", "ls-tree", "--name-only", "main"], capture_output=True, text=True).stdout.split()
    wanted = {f"t-{n}.txt" for n in range(1, 21) if n not in reds}
    if {file for file in files if file.startswith("t-")} != wanted or any(file.startswith("red-") for file in files):
        sys.exit(f"bench: {who}: landed {files}, not {wanted}")
    runs = len((scratch.dir / "runs").read_text().split())
    scratch.drop()
    return took, runs


def queue():
    """20 pull requests, checked in 1 s each: ours, and other ways to land the same."""
    line = "bd-ready --phase pr_created | pr-merge --once{} --quiet > /dev/null"
    ours = {"one slot": line.format(" --check-jobs 1"), "four slots": line.format(" --check-jobs 4")}
    # What one slot and four are held to, beside being faster than mergetrain.
    for reds, bounds in (
        ([], ["at most 2 checks", "at most 0.3 of serial"]),
        ([7], ["fewer checks than mergetrain", "at most 0.3 of serial"]),
        ([3, 8, 14, 19], ["fewer checks than mergetrain", "at most 0.5 of serial"]),
    ):
        got = {"serial": landed("serial", reds, FLOOR_QUEUE), "mergetrain": landed("mergetrain", reds, RUN_TRAIN, TRAIN)}
        got |= {who: landed(who, reds, script) for who, script in ours.items()}
        bound = dict(zip(ours, bounds))
        for who, (took, runs) in got.items():
            serial, train = (took / got[other][0] for other in ("serial", "mergetrain"))
            what = f"20 pull requests, {len(reds)} red, {who}"
            held = f"  (less than mergetrain, {bound[who]})" if who in ours else ""
            print(f"{what:<48} {took:>9.3f} s  {runs:>3} checks  of serial {serial:>5.2f}  of mergetrain {train:>5.2f}{held}", flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    benches = {
        "line": line, "spawn": spawn, "ready": ready, "passing": passing, "start_up": start_up, "queue": queue,
        "embedded": lambda: on_beads("embedded"), "server": lambda: on_beads("server"),
    }
    for name in sys.argv[1:] or benches:
        benches[name]()
