//! The forms that a plan may have, on both stores.

use libtest_mimic::Trial;
use serde_json::json;

use super::{sample, stage};
use crate::stage::{Stage, test, test_with, test_with_bd};

/// The sample plan becomes beads: their fields, their edges, and what is left out.
fn the_sample_becomes_beads(stage: Stage) {
    let stage = sample(stage);
    let ran = stage.import_plan().ok();
    assert_eq!(ran.beads().len(), 9, "{}", ran.all());
    let epic = stage.titled("Watch the greenhouse");
    assert_eq!(
        (&epic["issue_type"], &epic["status"]),
        (&json!("epic"), &json!("open"))
    );
    assert_eq!(
        epic["acceptance_criteria"],
        "- [ ] A reading every minute\n- [ ] An alarm within five minutes"
    );
    assert_eq!(epic["metadata"]["plan_file"], ".plan/greenhouse/PLAN.md");
    let task = stage.titled("Read a sensor");
    let id = epic["id"].as_str().unwrap();
    assert_eq!(task["id"], format!("{id}.1"));
    assert_eq!(
        task["description"].as_str().unwrap().trim_end(),
        "## Objective\n\nRead `/dev/ttyS0` once a minute. A line looks like this:\n\n```sh\n# 21.5 C; echo $(date)\n```\n\n## Dependencies\n\n- `000_choose_sensors` - says what a line looks like\n\n## Notes\n\nThe port is slow."
    );
    assert_eq!(
        task["acceptance_criteria"],
        "- Ten readings in ten minutes\n- A pulled plug is noticed"
    );
    let metadata = [
        ("spec_file", ".plan/greenhouse/tasks/001_read_sensor.md"),
        ("plan_file", ".plan/greenhouse/PLAN.md"),
        ("epic_name", "greenhouse"),
        ("task_num", "001"),
        ("original_status", "in_progress"),
    ];
    for (key, value) in metadata {
        assert_eq!(task["metadata"][key], value, "{key}");
    }
    let table: [(&str, i64, &[&str]); 7] = [
        ("Read a sensor", 1, &[]),
        ("Keep the readings", 2, &["Read a sensor"]),
        ("Thin out old readings", 2, &["Keep the readings"]),
        ("Draw a curve", 3, &["Keep the readings"]),
        ("Ring the alarm", 2, &["Keep the readings", "Open a valve"]),
        ("Open a valve", 2, &[]),
        ("Close it again", 2, &["Open a valve"]),
    ];
    for (title, priority, blockers) in table {
        assert_eq!(stage.titled(title)["priority"], priority, "{title}");
        assert_eq!(stage.blockers(title), blockers, "{title}");
    }
    ran.says("000_choose_sensors.md: skipped: complete")
        .says("9 created, 0 updated");
    let ready = stage.sh("bd-ready").ok();
    assert_eq!(ready.beads().len(), 2, "{}", ready.all());
    let again = stage
        .import_plan()
        .ok()
        .says("0 created, 0 updated, 9 unchanged");
    assert_eq!((again.stdout.as_str(), stage.stored().len()), ("", 9));
}

/// Each entry below `Dependencies`, and whether the second task waits for the first.
fn every_entry_is_understood() {
    let table = [
        ("- 001_one - why", true, ""),
        ("- Task 001: One", true, ""),
        ("- Task 1 (why)", true, ""),
        ("- 001: why", true, ""),
        ("* `001_one.md`", true, ""),
        ("1. [001_one](001_one.md)", true, ""),
        ("- e/001_one", true, ""),
        ("- 001_renamed_meanwhile", true, ""),
        ("001_one", true, ""),
        ("- None - Task 001 is another thing", false, ""),
        ("None", false, ""),
        ("- The database runs", false, ""),
        ("```\n001_one\n```", false, ""),
        ("", false, ""),
        (
            "- 007_gone - why",
            false,
            "002_two.md:4: unresolved: no such task: '007_gone - why'",
        ),
        (
            "- other/001_x",
            false,
            "002_two.md:4: unresolved: no such epic",
        ),
        (
            "- Unlike Task 001",
            false,
            "002_two.md:4: unresolved: unclear: 'Unlike Task 001'",
        ),
    ];
    for (entry, waits, says) in table {
        let two = format!("# Two\n\n## Dependencies\n{entry}\n\n## Else\n- 001_one\n");
        let stage = stage(&[("001_one.md", "# One"), ("002_two.md", &two)]);
        let ran = stage.import_plan();
        assert_eq!(
            ran.code,
            Some(i32::from(!says.is_empty())),
            "{entry}\n{}",
            ran.all()
        );
        assert!(ran.stderr.contains(says), "{entry}\n{}", ran.all());
        let wanted: &[&str] = if waits { &["One"] } else { &[] };
        assert_eq!(stage.blockers("Two"), wanted, "{entry}");
    }
}

fn the_choice_of_epics() {
    let stage = sample(Stage::new(&[]));
    let ran = stage.sh("bd-import irrigation nothing ../../etc").code(1);
    let ran = ran
        .says("nothing: no such epic in '.plan'")
        .says("../../etc: no such epic");
    assert_eq!(ran.beads().len(), 3, "{}", ran.all());
    // What it depends on is not there yet; the next import of it finds it.
    stage.write(
        "work/.plan/irrigation/tasks/003_x.md",
        "# X\n## Dependencies\n- greenhouse/002_keep\n",
    );
    stage
        .sh("bd-import irrigation")
        .code(1)
        .says("003_x.md:3: unresolved: '002_keep_readings' has no bead");
    stage.sh("bd-import greenhouse").ok();
    stage.sh("bd-import irrigation").ok();
    assert_eq!(stage.blockers("X"), ["Keep the readings"]);
}

fn what_is_complete_comes_when_it_is_asked_for() {
    let stage = sample(Stage::new(&[]));
    stage
        .sh("bd-import --plan seeds")
        .ok()
        .says("seeds/PLAN.md: skipped: complete");
    stage.sh("bd-import --include-complete").ok();
    assert_eq!(
        stage.titled("Label the rows")["metadata"]["epic_name"],
        "seeds"
    );
    assert!(stage.stored().iter().all(|bead| bead["title"] != "Sow"));
    // Put back to work, it is the same.
    stage.sh("mv .plan/_complete/seeds .plan/").ok();
    let ran = stage.import_plan().ok().says("0 created, 2 updated");
    assert_eq!(ran.beads().len(), 2);
    assert_eq!(
        stage.titled("Label the rows")["metadata"]["spec_file"],
        ".plan/seeds/tasks/002_label.md"
    );
}

fn a_dry_run_changes_nothing() {
    let stage = sample(Stage::new(&[]));
    let ran = stage
        .sh("bd-import --plan --dry-run")
        .ok()
        .says("9 created, 0 updated");
    assert_eq!(ran.beads().len(), 9);
    let alarm = ran
        .beads()
        .into_iter()
        .find(|bead| bead["id"] == "greenhouse/004_ring_alarm");
    assert_eq!(
        alarm.unwrap()["dependencies"][0]["depends_on_id"],
        "greenhouse"
    );
    assert!(stage.stored().is_empty());
    assert_eq!(stage.sh("find .git -name '*.lock'").ok().stdout, "");
}

fn the_other_place_and_none() {
    let stage = Stage::new(&[]);
    stage
        .import_plan()
        .code(1)
        .says("no plan: neither '.plan' nor '.claude/plan' is there");
    stage.write("work/.claude/plan/e/PLAN.md", "# E\n");
    stage.sh("mkdir sub && cd sub && bd-import --plan").ok();
    assert_eq!(
        stage.titled("E")["metadata"]["plan_file"],
        ".claude/plan/e/PLAN.md"
    );
}

fn the_recipe_imports() {
    let stage = sample(Stage::new(&[]));
    stage.just("migrate-to-beads irrigation").ok();
    assert_eq!(stage.stored().len(), 3);
    stage.just("migrate-to-beads").ok();
    assert_eq!(stage.stored().len(), 9);
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("import: a plan becomes beads, once", || {
            the_sample_becomes_beads(Stage::new(&[]));
        }),
        test_with_bd("import: a plan becomes beads, once, on the real bd", || {
            the_sample_becomes_beads(Stage::on_bd(&[]));
        }),
        test(
            "import: every form of a dependency is understood or said",
            every_entry_is_understood,
        ),
        test("import: named epics alone", the_choice_of_epics),
        test(
            "import: complete epics when asked for, and the same when put back",
            what_is_complete_comes_when_it_is_asked_for,
        ),
        test(
            "import: a dry run prints the beads and changes nothing",
            a_dry_run_changes_nothing,
        ),
        test(
            "import: the plan may be in .claude/plan, and its lack is said",
            the_other_place_and_none,
        ),
        test_with(
            "just",
            "tests/parts.sh",
            "import: the recipe imports all or one epic",
            the_recipe_imports,
        ),
    ]
}
