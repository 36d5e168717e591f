//! What the README shows is what happens; and rules of the house that a reader may rely on.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::stage::{Stage, command, root, test, test_with, test_with_bd};

/// One `$` line of a console block, with the lines it is said to print.
struct Example {
    line: String,
    prints: Vec<String>,
}

/// The examples, block by block.
fn blocks() -> Vec<Vec<Example>> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut blocks = Vec::new();
    for block in readme.split("```console\n").skip(1) {
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
    let programs = [
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
    for program in programs {
        let help = stage.sh(&format!("{program} --help")).ok().stdout;
        assert!(help.contains("Exit status: 0 done"), "{program}: {help}");
        assert!(
            readme.contains(&format!("| `{program}` |")),
            "{program} has no line"
        );
    }
}

/// The arrows point leftwards: no manifest names a noun of its own or a later folder.
fn the_arrows_hold() {
    let folders = [
        ("bd-ready", "beads"),
        ("wt-spawn", "git"),
        ("agent-run", "agent"),
        ("pr-open", "forge"),
        ("pr-merge", ""),
        ("orch-status", ""),
    ];
    for (at, (folder, _)) in folders.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        for (_, noun) in &folders[at..] {
            assert!(
                noun.is_empty() || !manifest.contains(&format!("\n{noun}.workspace")),
                "{folder} uses {noun}"
            );
        }
    }
}

/// As the package names it; of one that only has a file, the file's first words.
fn licence(package: &Value) -> String {
    if let Some(named) = package["license"].as_str() {
        return named.to_owned();
    }
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let file = package["license_file"].as_str().unwrap_or("LICENSE");
    let text = fs::read_to_string(manifest.with_file_name(file)).unwrap_or_default();
    let title = text.lines().next().unwrap_or_default();
    title.trim_end_matches(" License").to_owned()
}

/// Licences that a user of ours may be bound by.
const LICENCES: [&str; 12] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "0BSD",
    "Unlicense",
];

/// Every dependency comes from the registry, pinned by the lock file, under a licence we may use.
fn dependencies_are_in_order() {
    let metadata = command("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    for package in packages
        .iter()
        .filter(|package| !package["source"].is_null())
    {
        let (name, source) = (&package["name"], package["source"].as_str().unwrap());
        assert!(
            source.starts_with("registry+"),
            "{name} comes from {source}"
        );
        let licence = licence(package);
        // `A OR B`, `A/B`: one that we may use is enough; `A AND B`: all of them.
        let fine = licence
            .replace(['(', ')'], "")
            .replace('/', " OR ")
            .split(" OR ")
            .any(|one| {
                one.split(" AND ").all(|one| {
                    LICENCES.contains(&one.trim().trim_end_matches(" WITH LLVM-exception"))
                })
            });
        assert!(fine, "{name} is under {licence}");
    }
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
        test("house: the arrows point leftwards", the_arrows_hold),
        test(
            "house: dependencies come from the registry, under fitting licences",
            dependencies_are_in_order,
        ),
    ]
}
