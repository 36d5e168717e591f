//! A broken clone: what stands in the way of every bead alike takes no bead from others.

use libtest_mimic::Trial;
use serde_json::Value;

use super::{assert_whole, ids, lines};
use crate::stage::{Ran, Stage, scale, seed, test, until};

/// Asserts that no bead is claimed, and that nothing is there but beads.
#[track_caller]
fn assert_given_back(stage: &Stage, said: &str) {
    for bead in stage.stored() {
        let assignee = bead["assignee"].as_str().unwrap_or_default();
        assert_eq!(
            (bead["status"].as_str(), assignee),
            (Some("open"), ""),
            "{bead}\n{said}"
        );
    }
    let left = "git worktree list | tail -n +2; git for-each-ref refs/heads/agent; ls -A ../work.worktrees 2>/dev/null | grep -v '^.trash$' || true";
    assert_eq!(stage.sh(left).ok().stdout, "", "left behind\n{said}");
}

fn claims(ran: &Ran) -> usize {
    lines(&ran.stderr, ": claimed")
}

/// What the fetches of `wt-spawn` are counted with.
fn count_fetches(stage: &Stage) {
    stage.write(
        "home/upload",
        "#!/bin/sh\necho fetch >> \"$HOME/fetches\"\nexec git-upload-pack \"$@\"\n",
    );
    stage
        .sh("chmod +x ~/upload; git config remote.origin.uploadpack ~/upload")
        .ok();
}

fn remote_away() {
    let stage = Stage::with_tasks(40);
    stage.sh("mv ../remote.git ../away").ok();
    // As in a line: beads go on coming, and nobody ends them.
    let script = "{ bd-ready; sleep 60; } | { wt-spawn; kill $$; }";
    let ran = stage.sh(script);
    assert_eq!(
        (ran.stdout.as_str(), claims(&ran)),
        ("", 0),
        "{}",
        ran.all()
    );
    let why = "cannot fetch the base: ";
    assert_eq!(lines(&ran.stderr, why), 1, "{}", ran.all());
    assert_eq!(
        lines(&ran.stderr, "; no further bead is claimed"),
        1,
        "{}",
        ran.all()
    );
    assert_given_back(&stage, &ran.all());
    stage.sh("bd-ready | wt-spawn").code(1);
    stage.sh("mv ../away ../remote.git").ok();
    stage.sh("bd-ready | wt-spawn").ok();
    assert_whole(&stage, &ids(40));
}

/// Who commits is not known, or only half.
fn nobody_commits() {
    let mut stage = Stage::with_tasks(6);
    stage
        .sh("git config --file ~/.gitconfig --unset user.name; git config user.useConfigOnly true")
        .ok();
    stage.set("GIT_AUTHOR_NAME", "Ann");
    let ran = stage.sh("bd-ready | wt-spawn").code(1);
    assert_eq!(
        (ran.stdout.as_str(), claims(&ran)),
        ("", 0),
        "{}",
        ran.all()
    );
    let why = "an agent could not commit here: ";
    assert_eq!(lines(&ran.stderr, why), 1, "{}", ran.all());
    assert_given_back(&stage, &ran.all());
    ran.says("auto-detection is disabled")
        .says("git config user.name and user.email");
    // The recipes ask this before they start a line.
    let agent = "agent-run --quiet --agent true < /dev/null";
    stage.sh(agent).code(1).says(why);
    stage.set("GIT_COMMITTER_NAME", "Ann");
    stage.sh(agent).ok();
    stage.sh("bd-ready | wt-spawn").ok();
    assert_whole(&stage, &ids(6));
}

/// A remote that is back within a moment fails nobody.
fn remote_back() {
    let stage = Stage::with_tasks(4);
    stage.write(
        "home/upload",
        "#!/bin/sh\necho fetch >> \"$HOME/fetches\"\n[ $(wc -l < \"$HOME/fetches\") -gt 1 ] || exit 1\nexec git-upload-pack \"$@\"\n",
    );
    stage
        .sh("chmod +x ~/upload; git config remote.origin.uploadpack ~/upload")
        .ok();
    stage.sh("bd-ready | wt-spawn").ok();
    assert_whole(&stage, &ids(4));
}

fn set_up_fails() {
    let stage = Stage::with_tasks(40);
    let ran = stage.sh("bd-ready | wt-spawn --setup 'echo junk > junk; exit 3'");
    let ran = ran
        .code(1)
        .says("no further bead is claimed: the set-up fails, three times in a row");
    assert_eq!(ran.stdout, "");
    // Three, and those that had their turn meanwhile: --jobs is 4.
    assert!((3..=6).contains(&claims(&ran)), "{}", ran.all());
    assert_given_back(&stage, &ran.all());
    let errors = stage.stored();
    let errors = errors.iter().filter(|bead| {
        let error = bead["metadata"]["error"].as_str();
        error.is_some_and(|error| error.contains("set-up failed: exit 3"))
    });
    assert_eq!(errors.count(), claims(&ran), "{}", ran.all());
    stage.sh("bd-ready | wt-spawn").ok();
    assert_whole(&stage, &ids(40));
}

/// A bead whose own fault it is stops nobody else, however many there are.
fn own_faults() {
    let stage = Stage::with_tasks(6);
    for id in ["t-1", "t-2", "t-3", "t-4"] {
        stage.write(&format!("work.worktrees/{id}/theirs"), "");
    }
    let ran = stage.sh("bd-ready | wt-spawn --jobs 1").code(1);
    let mut whole = ran.ids();
    whole.sort();
    assert_eq!(whole, ["t-5", "t-6"], "{}", ran.all());
}

fn fetches() {
    let stage = Stage::with_tasks(50);
    count_fetches(&stage);
    stage.sh("bd-ready | wt-spawn").ok();
    assert_whole(&stage, &ids(50));
    let fetches = lines(&stage.read("home/fetches"), "fetch");
    assert!(
        (1..=30).contains(&fetches),
        "{fetches} fetches for 50 beads"
    );
}

/// A whole line in a clone that breaks and heals at random moments: whatever it has met, nothing is
/// lost, and everything lands in the end.
fn breaks_and_heals(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut stage = Stage::with_tasks(3);
    stage.simple();
    stage.set("BEADLINE_SETUP", "[ ! -e \"$HOME/broken\" ]");
    let breaks = [
        ("mv ../remote.git ../away", "mv ../away ../remote.git"),
        ("touch ~/broken", "rm ~/broken"),
    ];
    let (breaking, healing) = random.choice(breaks).unwrap();
    let line = "bd-ready --follow | wt-spawn | agent-run | pr-open | pr-merge | wt-clean --all > /dev/null";
    let mut running = stage.start(line);
    let landed = random.usize(0..2);
    let closed = || {
        let beads = stage.stored();
        beads
            .iter()
            .filter(|bead| bead["status"] == "closed")
            .count()
    };
    until("some have landed", || closed() >= landed);
    stage.sh(breaking).ok();
    std::thread::sleep(std::time::Duration::from_millis(random.u64(0..500)));
    running.kill();
    let broken = stage.sh("bd-ready --resume | wt-spawn");
    let claimed = |bead: &Value| bead["status"] == "in_progress";
    let before = stage.stored().iter().filter(|bead| claimed(bead)).count();
    stage.sh(healing).ok();
    let mut said = broken.all();
    for _ in 0..3 {
        let ran = stage.sh(line);
        said += &ran.all();
        if ran.code == Some(0) {
            break;
        }
    }
    assert_eq!(
        closed(),
        3,
        "seed {seed}: {breaking}, {before} claimed\n{said}"
    );
    stage.assert_clean();
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        test(
            "wt-spawn: a clone that cannot reach its remote claims nothing, and says so once",
            remote_away,
        ),
        test(
            "wt-spawn: a clone in which nobody can commit claims nothing, and says so once",
            nobody_commits,
        ),
        test(
            "wt-spawn: a remote that is back in a moment is waited for",
            remote_back,
        ),
        test(
            "wt-spawn: a set-up that fails for three in a row is tried no more, and its beads are given back",
            set_up_fails,
        ),
        test(
            "wt-spawn: what is a bead's own fault stops no other",
            own_faults,
        ),
        test("wt-spawn: 50 beads cost a few fetches", fetches),
    ];
    for n in 0..scale() as u64 {
        let seed = seed() + n;
        trials.push(test(
            &format!("broken clone: it breaks and heals at random, seed {seed}"),
            move || breaks_and_heals(seed),
        ));
    }
    trials
}
