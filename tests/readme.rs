//! What the README shows is what happens.

use std::collections::BTreeSet;
use std::fs;

use libtest_mimic::Trial;

use crate::stage::{Stage, root, test, test_with, test_with_bd};

/// One `$` line of a console block, with the lines it is said to print.
struct Example {
    line: String,
    prints: Vec<String>,
}

/// The pages that people read.
const PAGES: [&str; 9] = [
    "README.md",
    "bd-ready/README.md",
    "wt-spawn/README.md",
    "agent-run/README.md",
    "pr-open/README.md",
    "pr-merge/README.md",
    "orch-status/README.md",
    "tests/README.md",
    ".github/CONTRIBUTING.md",
];

const PROGRAMS: [&str; 11] = [
    "bd-ready",
    "wt-spawn",
    "agent-run",
    "pr-open",
    "pr-merge",
    "wt-clean",
    "orch-status",
    "agent-stop",
    "agent-log",
    "agent-hold",
    "bd-import",
];

/// The examples, block by block.
fn blocks() -> Vec<Vec<Example>> {
    let pages = PAGES.map(|page| fs::read_to_string(root().join(page)).unwrap());
    let mut blocks = Vec::new();
    for block in pages
        .iter()
        .flat_map(|page| page.split("```console\n").skip(1))
    {
        let mut examples: Vec<Example> = Vec::new();
        for line in block.split("```").next().unwrap().lines() {
            match line.strip_prefix("$ ") {
                Some(line) => examples.push(Example {
                    line: line.to_owned(),
                    prints: Vec::new(),
                }),
                None => examples.last_mut().unwrap().prints.push(line.to_owned()),
            }
        }
        blocks.push(examples);
    }
    blocks
}

/// `…` stands for anything within a line.
fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap()) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        match (parts.peek(), rest.find(part)) {
            (None, _) => return rest.ends_with(part),
            (Some(_), Some(at)) => rest = &rest[at + part.len()..],
            (Some(_), None) => return false,
        }
    }
    rest.is_empty()
}

/// Runs the blocks that need `bd`, or those that do not; each in a repository of its own. The first
/// block is the line itself; without beads it has nothing to do.
fn readme_runs(with_bd: bool) {
    let is_with_bd = |block: &&Vec<Example>| block[0].line.starts_with("bd init");
    let blocks = blocks();
    let mut wanted = blocks
        .iter()
        .skip(1)
        .filter(|block| is_with_bd(block) == with_bd);
    wanted
        .next()
        .map(run_block)
        .expect("the README has examples");
    wanted.for_each(run_block);
}

fn run_block(examples: &Vec<Example>) {
    let stage = Stage::new(&[]);
    fs::remove_dir_all(stage.path("work/.beads")).unwrap();
    let mut before = format!(
        "beadline() {{ just -f '{}/justfile' -d . \"$@\"; }}\n",
        root().display()
    );
    for Example { line, prints } in examples {
        // What a variable was set to holds for the lines after it, each in a shell of its own.
        let export = line.starts_with("export ");
        let kept = if export {
            "; export -p > ../exported"
        } else {
            ""
        };
        let ran = stage.sh(&format!("{before}{line}{kept}"));
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        let mut lines: Vec<&str> = printed.lines().collect();
        // Programs at work at once may speak in another order; `…` alone stands for any lines.
        for wanted in prints.iter().filter(|wanted| *wanted != "…") {
            let at = lines.iter().position(|line| fits(wanted, line));
            let Some(at) = at else {
                panic!("the README says: {wanted}\n{}", ran.all())
            };
            lines.remove(at);
        }
        assert!(
            lines.is_empty() || prints.iter().any(|wanted| wanted == "…"),
            "the README lacks {lines:?}\n{}",
            ran.all()
        );
        if export {
            before += ". ../exported\n";
        }
    }
}

/// Each program's help names every flag once more in words, an example, and its exit statuses; and
/// the README has a line for it.
fn every_program_has_its_page() {
    let stage = Stage::empty();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for program in PROGRAMS {
        let help = stage.sh(&format!("{program} --help")).ok().stdout;
        assert!(help.contains("Exit status: 0 done"), "{program}: {help}");
        assert!(
            readme.contains(&format!("| `{program}` |")),
            "{program} has no line"
        );
    }
}

/// The README lists the settings of all programs, each once.
fn every_setting_is_listed() {
    let stage = Stage::empty();
    let mut settings = BTreeSet::new();
    for program in PROGRAMS {
        let help = stage.sh(&format!("{program} --help")).ok().stdout;
        let named = help.split("[env:").skip(1);
        settings.extend(named.map(|rest| rest.split(']').next().unwrap().trim().to_owned()));
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, list) = readme.split_once("in capitals, for ").unwrap();
    let list = list.split('.').next().unwrap().split(", ");
    let variable = |flag: &str| format!("BEADLINE_{}", flag.replace('-', "_").to_uppercase());
    let listed: BTreeSet<String> = list.clone().map(variable).collect();
    assert_eq!(listed, settings);
    assert_eq!(list.count(), settings.len(), "one is listed twice");
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with(
            "just",
            "tests/parts.sh",
            "readme: its examples run and print what it says",
            || readme_runs(false),
        ),
        test_with_bd(
            "readme: its examples with bd run and print what it says",
            || {
                readme_runs(true);
            },
        ),
        test(
            "readme: every program has its page",
            every_program_has_its_page,
        ),
        test(
            "readme: it lists the settings of all programs",
            every_setting_is_listed,
        ),
    ]
}
