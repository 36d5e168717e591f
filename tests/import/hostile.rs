//! Plans that are broken or mean harm: named and left out, and the rest goes on.

use std::fs;

use libtest_mimic::Trial;

use super::stage;
use crate::stage::test;

fn what_cannot_be_read_is_named() {
    let stage = stage(&[
        ("001_good.md", "# Good"),
        ("002_empty.md", ""),
        ("notes.md", "# Notes"),
        ("003_long.md", &format!("# {}", "x".repeat(501))),
    ]);
    fs::write(
        stage.path("work/.plan/e/tasks/004_latin.md"),
        b"# Gr\xfc\xdfe",
    )
    .unwrap();
    stage.write("work/.plan/e/tasks/005_nul.md", "# A\0B");
    stage.write("secret.md", "# Secret\n");
    stage.write("work/.plan/broken/PLAN.md", "no title\n");
    stage.write("work/.plan/headless/tasks/001_x.md", "# X\n");
    stage
        .sh("ln -s ../../../../secret.md .plan/e/tasks/006_link.md
             ln -s 001_good.md .plan/e/tasks/007_inner.md
             ln -s ../.. .plan/out
             ln -s $PWD/../secret.md .plan/e/tasks/README.md
             mkfifo .plan/e/tasks/008_pipe.md
             mkdir .plan/e/tasks/009_dir.md
             ln -s nowhere .plan/e/tasks/010_dangling.md
             head -c 5000000 /dev/zero | tr '\\0' x > .plan/e/tasks/011_huge.md")
        .ok();
    let mut ran = stage.import_plan().code(1);
    for words in [
        "tasks/002_empty.md: it has no title",
        "tasks/003_long.md: its title is longer than 500 characters",
        "tasks/004_latin.md: not UTF-8",
        "tasks/005_nul.md: it holds a NUL character",
        "tasks/006_link.md: cannot open: it leads out of the folder",
        "tasks/008_pipe.md: not a regular file",
        "tasks/009_dir.md: not a regular file",
        "tasks/010_dangling.md: it is gone",
        "tasks/011_huge.md: longer than",
        "tasks/README.md: cannot open: it leads out of the folder",
        "notes.md: skipped: not a task",
        ".plan/broken: PLAN.md: it has no title",
        ".plan/headless: it has tasks, but no PLAN.md",
    ] {
        ran = ran.says(words);
    }
    let mut titles: Vec<String> = stage
        .stored()
        .iter()
        .map(|bead| bead["title"].as_str().unwrap().to_owned())
        .collect();
    titles.sort();
    assert_eq!(titles, ["E", "Good", "Good"], "{}", ran.all());
}

fn a_plan_elsewhere_is_refused() {
    let stage = crate::stage::Stage::new(&[]);
    stage.write("elsewhere/e/PLAN.md", "# E\n");
    stage.sh("ln -s ../elsewhere .plan").ok();
    stage
        .import_plan()
        .code(1)
        .says("cannot open '.plan': it leads out of the folder");
    assert!(stage.stored().is_empty());
}

fn text_is_only_text() {
    let big = format!("# Big\n{}\n", "lorem ipsum\n".repeat(90_000));
    let stage = stage(&[
        (
            "001_$(touch no).md",
            "# Task 001: $(touch no); `touch no` \u{1b}[31m\u{202e} --id=x\r\n\r\nbody\r\nmore\r\n",
        ),
        ("002_big.md", &big),
    ]);
    let ran = stage.import_plan().ok();
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.all());
    let bead = stage.titled("$(touch no); `touch no` \u{1b}[31m\u{202e} --id=x");
    assert_eq!(bead["description"], "body\r\nmore");
    assert_eq!(
        stage.titled("Big")["description"].as_str().unwrap().len(),
        big.trim_end().len() - 6
    );
    assert!(!stage.path("work/no").exists());
}

fn one_number_for_two_files() {
    let stage = stage(&[
        ("001_a.md", "# A"),
        ("001_b.md", "# B"),
        ("002_c.md", "# C\n## Dependencies\n- 001_b\n- Task 001\n"),
        (
            "README.md",
            "| 001 | A | [x] |\n|---|---|---|\n| 001 | both | [x] |\n",
        ),
    ]);
    stage
        .import_plan()
        .code(1)
        .says("002_c.md:4: unresolved: several tasks have this number: 'Task 001'");
    assert_eq!(stage.blockers("C"), ["B"]);
    stage.titled("A");
}

fn cycles_are_cut() {
    let on = |name: &str, on: &str| format!("# {name}\n## Dependencies\n- {on}\n");
    let stage = stage(&[
        ("001_a.md", &on("A", "002_b")),
        ("002_b.md", &on("B", "003_c")),
        ("003_c.md", &on("C", "001_a")),
        ("004_d.md", &on("D", "004_d")),
    ]);
    let cycle = "003_c.md:3: unresolved: a cycle: 003_c -> 001_a -> 002_b -> 003_c";
    stage
        .import_plan()
        .code(1)
        .says(cycle)
        .says("004_d.md:3: unresolved: a cycle: 004_d -> 004_d");
    assert_eq!(stage.blockers("A"), ["B"]);
    assert_eq!(stage.blockers("B"), ["C"]);
    assert!(stage.blockers("C").is_empty() && stage.blockers("D").is_empty());
    stage
        .import_plan()
        .code(1)
        .says("0 created, 0 updated, 5 unchanged");
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test(
            "import: what cannot be read is named, and the rest goes on",
            what_cannot_be_read_is_named,
        ),
        test(
            "import: a plan outside of the repository is refused",
            a_plan_elsewhere_is_refused,
        ),
        test(
            "import: hostile, long and foreign text is only text",
            text_is_only_text,
        ),
        test(
            "import: a number that two files have stands for neither",
            one_number_for_two_files,
        ),
        test(
            "import: an edge that would close a cycle is named and left out",
            cycles_are_cut,
        ),
    ]
}
