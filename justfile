# The line: programs that pipe beads to each other. Recipes act on the repository of the directory
# they are called from; settings are BEADLINE_* variables, which that repository's .env may hold.

set positional-arguments
set dotenv-load
set script-interpreter := ["bash", "-euo", "pipefail"]
set shell := ["bash", "-euo", "pipefail", "-c"]

# The programs: as built here, else as installed.
target := env("CARGO_TARGET_DIR", justfile_directory() / "target")
bin := env("BEADLINE_BIN", if path_exists(target / "release/agent-hold") == "true" { target / "release" } else if path_exists(target / "debug/agent-hold") == "true" { target / "debug" } else { env("CARGO_HOME", home_directory() / ".cargo") / "bin" })

export PATH := bin + ":" + env("PATH")

# List the recipes
[private]
default:
    @just --justfile {{ quote(justfile()) }} --list --unsorted

# Take every ready bead to a merged pull request, until nothing is left
[group('the line')]
[no-cd]
[script]
orchestrate *filter:
    # What is missing is said before anything is claimed.
    agent-run --quiet < /dev/null
    pr-merge < /dev/null
    # Agents outlive an interrupted line.
    trap 'echo "orchestrate: interrupted; $(orch-status --json | grep -c "\"agent\":\"alive\"") agents go on, to end them: just orchestrate-stop" >&2; exit 130' INT
    bd-ready --follow "$@" \
      | wt-spawn \
      | agent-run \
      | pr-open \
      | pr-merge \
      | wt-clean --all > /dev/null

# Say what the line would do, and change nothing
[group('the line')]
[no-cd]
[script]
orchestrate-preview *filter:
    bd-ready --resume "$@" \
      | wt-spawn --dry-run \
      | agent-run --dry-run \
      | pr-open --dry-run \
      | pr-merge --dry-run \
      | wt-clean --dry-run > /dev/null

# Show where every bead stands
[group('the line')]
[no-cd]
[script]
orchestrate-status *flags:
    orch-status "$@"

# End all agents, and keep their work
[group('the line')]
[no-cd]
[script]
orchestrate-stop *flags:
    agent-stop --all "$@" > /dev/null

# Take one bead through the line up to its pull request
[group('the line')]
[no-cd]
[script]
worker id *flags:
    agent-run --quiet < /dev/null
    bd-ready "$@" \
      | wt-spawn \
      | agent-run \
      | pr-open > /dev/null

# Open a blocked bead, and take it through the line again
[group('the line')]
[no-cd]
[script]
retry id *flags:
    agent-run --quiet < /dev/null
    pr-merge < /dev/null
    wt-spawn --retry "$@" \
      | agent-run \
      | pr-open \
      | pr-merge \
      | wt-clean --all > /dev/null

# Process the open pull requests once
[group('the line')]
[no-cd]
[script]
merger *filter:
    bd-ready --phase pr_created "$@" \
      | pr-merge --once \
      | wt-clean > /dev/null

# Remove the worktrees and branches of what has landed
[group('the line')]
[no-cd]
[script]
worktree-clean *filter:
    bd-ready --phase merged "$@" \
      | wt-clean --all > /dev/null

# Turn the tasks of .plan/ into beads
[group('the line')]
[no-cd]
[script]
migrate-to-beads *epics:
    bd-import --plan "$@"

# Print the log of a bead's last run
[group('the line')]
[no-cd]
[script]
log id *flags:
    agent-log "$@"

# Follow the log of a bead's last run
[group('the line')]
[no-cd]
[script]
tail id *flags:
    agent-log --follow "$@"

# See the whole system work on a scratch repository, in seconds
[group('beadline itself')]
[script]
demo: build
    tests/demo.sh

# Build the programs once, install them, and print an alias that serves any repository
[group('beadline itself')]
[script]
install:
    for part in bd-ready wt-spawn agent-run pr-open pr-merge orch-status; do
        cargo install --quiet --locked --path "$part"
    done
    echo "alias beadline='just -f {{ justfile() }} -d .'"

# Install what some tests need beside that: just, strace, bubblewrap
[group('beadline itself')]
[script]
parts:
    tests/parts.sh

# Run all tests that need nothing but git, bash, a C compiler and Rust
[group('beadline itself')]
[script]
test *filter:
    cargo test --workspace --locked "$@"

# Run the big counts: kills, races, worktrees, attacks, histories, faults; seeded by SEED
[group('beadline itself')]
[script]
stress *filter:
    BEADLINE_STRESS=10 cargo test --locked --package tests --test main "$@" -- --nocapture

# Print the ratios that the README quotes, each beside its floor
[group('beadline itself')]
[script]
bench: build
    python3 tests/bench.py

# Do what CI does
[group('beadline itself')]
[script]
ci:
    .ci/run

[private]
[script]
build:
    cargo build --workspace --bins --release --locked --target-dir {{ quote(target) }}
