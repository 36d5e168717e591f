//! Agents, and the checks that they wrote, attack what runs after them, behind the README's recipe
//! for bubblewrap. Nothing outside is run or written, no other bead's work is touched, the line
//! ends, and honest agents bring all of it to its end on what is left.

use std::fmt::Write as _;

use crate::real_agents::recipe;
use crate::stage::{Stage, task};

use super::{LINE, run, say, some};

/// Hostile beads; one more is honest from the beginning.
const HOSTILE: usize = 3;

/// What names a program or a file in configuration, each with its value: `$evil` is a program that
/// tells when it is run.
const KEYS: [&str; 12] = [
    "core.fsmonitor $evil",
    "core.hooksPath $PWD/hooks",
    "core.sshCommand $evil",
    "core.pager $evil",
    "core.editor $evil",
    "core.attributesFile $PWD/attributes",
    "diff.external $evil",
    "filter.evil.clean $evil",
    "merge.evil.driver $evil",
    "gpg.program $evil",
    "core.worktree $home",
    "include.path $PWD/more",
];

/// In the agent's worktree: `$own` is its folder in the git directory, `$git` that directory,
/// `$home` the real home, which it cannot see, `$key` and `$value` one of the above.
const ATTACKS: [&str; 40] = [
    "rm -rf .git; git init -q .; git config $key \"$value\"; git add -A; git commit -qm mine",
    "rm -rf .git; git init -q --bare bare; mv bare .git; git config -f .git/config $key \"$value\"",
    "mkdir -p $here; cp -r $own/. $here; git config -f $here/config $key \"$value\"; echo \"gitdir: $here\" > .git",
    "echo 'gitdir: /nowhere' > .git",
    "printf 'gitdir: %s/.git\\n' \"$main\" > .git",
    "rm -f .git; ln -s \"$home\" .git",
    "rm -f .git; mkfifo .git",
    "rm -f .git",
    ": > .git",
    "mkdir -p $here; cp -r $git/HEAD $git/refs $git/objects $here; git config -f $here/config $key \"$value\"; echo $here > $own/commondir",
    "echo garbage > $own/commondir",
    "rm -f $own/commondir; mkfifo $own/commondir",
    "echo \"$main/.git\" > $own/gitdir",
    "echo /elsewhere/.git > $own/gitdir",
    "git config -f $own/config.worktree $key \"$value\"",
    "rm -f $own/config.worktree; ln -s \"$home/precious\" $own/config.worktree",
    "mkdir $own/config.worktree",
    "git config -f $own/config $key \"$value\"",
    "echo 'ref: refs/../../x' > $own/HEAD",
    "echo 'ref: refs/heads/main' > $own/HEAD",
    "echo 'ref: refs/heads/agent/t-9' > $own/HEAD",
    "rm -f $own/HEAD; ln -s \"$home/precious\" $own/HEAD",
    "for f in index logs/HEAD COMMIT_EDITMSG ORIG_HEAD MERGE_HEAD index.lock beadline-ready; do ln -sf \"$home/precious\" $own/$f; done; echo more > more.txt",
    "head -c 300 /dev/urandom > $own/index",
    ": > $own/index.lock",
    "echo mine > $own/locked",
    "rm -f $own/beadline-ready",
    "mkdir -p $own/hooks hooks; for h in post-checkout pre-commit reference-transaction post-index-change pre-push fsmonitor-watchman; do cp \"$evil\" $own/hooks/$h; cp \"$evil\" hooks/$h; done",
    "git update-ref refs/heads/main HEAD; git update-ref refs/remotes/origin/main HEAD; git update-ref refs/heads/agent/t-9 HEAD; git replace -f HEAD HEAD~",
    "git update-ref refs/heads/evil/x HEAD; git tag evil; : > $git/refs/heads/agent/t-9.lock",
    "echo garbage > $git/refs/heads/agent/$BEAD_ID",
    "rm -f $git/refs/heads/agent/$BEAD_ID; ln -s \"$home/precious\" $git/refs/heads/agent/$BEAD_ID",
    "git pack-refs --all; git update-ref -d refs/heads/agent/$BEAD_ID",
    "find $git/objects -type f -path '*/??/*' | head -n 3 | while read f; do chmod u+w \"$f\"; echo garbage > \"$f\"; done",
    "echo \"$home\" > $git/objects/info/alternates",
    "mkdir -p $git/objects/pack; head -c 500 /dev/urandom > $git/objects/pack/pack-$(printf %040d 1).pack; head -c 500 /dev/urandom > $git/objects/pack/pack-$(printf %040d 1).idx",
    "printf '* filter=evil diff=evil merge=evil\\n' > .gitattributes; cp .gitattributes attributes; git add -f .gitattributes; git commit -qm attributes",
    "git init -q $here; git -C $here config $key \"$value\"; git -C $here commit -qm inner --allow-empty",
    "rm -rf ignored; ln -s \"$home\" ignored; ln -s \"$home/precious\" link; git add -f ignored link; git commit -qm links",
    "mkdir -p shut/in; echo x > shut/in/x; chmod 000 shut/in; printf x > '-rf'; printf x > \"$(printf 'a\\nb')\"",
];

/// What an agent, and a check of it, does before it attacks.
fn prelude(stage: &Stage) -> String {
    format!(
        "own=$(git rev-parse --absolute-git-dir) git=$(git rev-parse --path-format=absolute --git-common-dir)
home='{home}' main='{main}' evil=$PWD/evil.sh here=$PWD/evil-${{BEAD_ID:-check}}
printf '#!/bin/sh\\ntouch \"%s/ran\"; echo evil >> \"%s/precious\"; cat\\n' \"$home\" \"$home\" > $evil; chmod +x $evil
",
        home = stage.path("home").display(),
        main = stage.path("work").display(),
    )
}

/// A few attacks, each in a shell of its own, as some leave no repository to the next.
fn attacks(random: &mut fastrand::Rng) -> String {
    let mut script = String::new();
    for attack in some(random, &ATTACKS, 1..=3) {
        let (key, value) = random.choice(KEYS).unwrap().split_once(' ').unwrap();
        writeln!(
            script,
            "(key={key} value={value}\n{attack}\n) > /dev/null 2>&1 < /dev/null"
        )
        .unwrap();
    }
    script
}

/// Everything outside that has to be as it was.
fn outside(stage: &Stage) -> String {
    let script = "git rev-parse main HEAD; git status --porcelain; cat a.txt check.sh .git/HEAD
        git config --local --list | grep -v '^beadline[.]'; find .git/hooks -type f | sort | xargs cat | sha256sum
        git merge-base --is-ancestor origin/main $(git -C ../remote.git rev-parse main)
        git for-each-ref --format='%(refname)' | grep -vE '^refs/(heads/agent/t-[0-9]+|remotes/origin/.*)$' || true
        cat ~/precious ~/.gitconfig; ls -A ~; ls -A .. | grep -vx -e work.worktrees -e agent.sh";
    stage.sh(script).ok().stdout
}

pub(super) fn story(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let beads: Vec<_> = (1..=HOSTILE)
        .map(|n| format!("t-{n}"))
        .chain(["t-9".to_owned()])
        .collect();
    let mut stage = Stage::new(&beads.iter().map(|id| task(id)).collect::<Vec<_>>());
    stage.write("home/precious", "precious\n");
    stage
        .sh(
            "echo true > check.sh; echo /ignored/cache > .worktreeinclude; mkdir ignored; echo cache > ignored/cache
             git add check.sh .worktreeinclude; git commit --quiet -m check; git push --quiet",
        )
        .ok();
    let prelude = prelude(&stage);
    let mut cases = String::new();
    for id in &beads[..HOSTILE] {
        let check = if random.bool() {
            attacks(&mut random)
        } else {
            String::new()
        };
        let check = format!("{prelude}{check}true\n").replace('\'', "'\\''");
        writeln!(
            cases,
            "{id}) printf '%s' '{check}' > check-{id}.sh; git add -f check-{id}.sh; git commit -qm check\n{prelude}{}true;;",
            attacks(&mut random)
        )
        .unwrap();
    }
    let honest = "git checkout --quiet \"agent/$BEAD_ID\"; echo \"$BEAD_ID\" > \"$BEAD_ID.txt\"; git add \"$BEAD_ID.txt\"
        git diff --cached --quiet || git commit -qm \"work on $BEAD_ID\"\n";
    // As a command line: a script of the stage would lie in the folder that is hidden.
    stage.set(
        "BEADLINE_AGENT",
        &format!("{honest}case $BEAD_ID in {cases} esac; true"),
    );
    for (name, value) in [
        (
            "BEADLINE_CHECK",
            "for f in ./check*.sh; do [ ! -f \"$f\" ] || sh \"$f\"; done",
        ),
        ("BEADLINE_ATTEMPTS", "1"),
        ("BEADLINE_TIMEOUT", "60s"),
        ("BEADLINE_MAX_ROUNDS", "1"),
        ("BEADLINE_WAIT", "5s"),
        ("BEADLINE_INCLUDE", ".worktreeinclude"),
    ] {
        stage.set(name, value);
    }
    say(&format!("seed {seed}\n{cases}"));
    let before = outside(&stage);
    let recipe = recipe("exec bwrap");
    let ran = run(&stage, &format!("{recipe}\n{LINE}"));
    let said = format!("seed {seed}\n{cases}\n{}", ran.all());
    assert!(
        ran.code.is_some_and(|code| code < 2),
        "it has an end\n{said}"
    );
    assert!(!stage.path("home/ran").exists(), "run outside\n{said}");
    assert_eq!(outside(&stage), before, "{said}");

    // Whoever looks at it now gives it to agents that work.
    // They do as the feedback says: a repository that is no submodule loses its .git.
    let obedient = format!("rm -rf evil-*/.git; {honest}");
    stage.set("BEADLINE_AGENT", &obedient);
    stage.set("BEADLINE_CHECK", "true");
    let blocked = stage.stored();
    let blocked = blocked.iter().filter(|bead| bead["status"] == "blocked");
    let blocked: String = blocked
        .filter_map(|bead| bead["id"].as_str())
        .fold(String::new(), |all, id| all + " " + id);
    let retry = format!("[ -z '{blocked}' ] || wt-spawn --retry {blocked} > /dev/null");
    let retried = run(&stage, &format!("{recipe}\n{retry}")).all();
    let line = format!("{recipe}\n");
    let mut last = String::new();
    for _ in 0..3 {
        let ran = run(&stage, &format!("{line}{LINE}"));
        last += &ran.all();
        if ran.code == Some(0) {
            break;
        }
    }
    let said = format!("{said}\n{retried}\n{last}");
    for id in &beads {
        let bead = stage.bead(id);
        // A link where the includes go is its own fault, and refused each time.
        let error = bead["metadata"]["error"].as_str().unwrap_or_default();
        if error.contains("it would land outside the worktree") {
            continue;
        }
        assert_eq!(bead["metadata"]["phase"], "merged", "{bead}\n{said}");
        let work = stage.sh(&format!("git fetch --quiet; git show origin/main:{id}.txt"));
        assert_eq!(work.stdout, format!("{id}\n"), "{said}");
    }
    assert!(!stage.path("home/ran").exists(), "run outside\n{said}");
    assert_eq!(outside(&stage), before, "{said}");
}
