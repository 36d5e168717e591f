//! A second import: what changed in the files, and not in Beads.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::stage;
use crate::stage::{Stage, test, test_with_bd};

const FIRST: &str = "# One\nold text\n## Acceptance Criteria\nold\n";

/// One field changed in the file, in Beads, in both alike, in both differently.
fn each_side_changes_each_field() {
    let fields = [
        (
            "title",
            "# New\nold text\n## Acceptance Criteria\nold\n",
            json!("New"),
            json!("Mine"),
        ),
        (
            "description",
            "# One\nnew text\n## Acceptance Criteria\nold\n",
            json!("new text"),
            json!("mine"),
        ),
        (
            "acceptance_criteria",
            "# One\nold text\n## Acceptance Criteria\nnew\n",
            json!("new"),
            json!("mine"),
        ),
        (
            "priority",
            "# One\n**Status:** Blocked\nold text\n## Acceptance Criteria\nold\n",
            json!(3),
            json!(0),
        ),
    ];
    for (field, changed, new, mine) in fields {
        let other = mine.clone();
        let table: [(&str, Option<&Value>, Value, bool); 5] = [
            (changed, None, new.clone(), false),
            (FIRST, Some(&mine), mine.clone(), false),
            (changed, Some(&new), new.clone(), false),
            (changed, Some(&mine), other, true),
            (FIRST, None, Value::Null, false),
        ];
        for (file, edit, wanted, said) in table {
            let stage = stage(&[("001_one.md", FIRST)]);
            stage.import_plan().ok();
            let id = stage.titled("One")["id"].as_str().unwrap().to_owned();
            let before = stage.bead(&id);
            if let Some(edit) = edit {
                stage.edit(&id, &json!({field: edit}));
            }
            stage.write("work/.plan/e/tasks/001_one.md", file);
            let ran = stage.import_plan().ok();
            let bead = stage.bead(&id);
            let wanted = if wanted.is_null() {
                before[field].clone()
            } else {
                wanted
            };
            assert_eq!(bead[field], wanted, "{field}\n{}", ran.all());
            assert_eq!(
                ran.stderr.contains("left as it is"),
                said,
                "{field}\n{}",
                ran.all()
            );
            assert_eq!(stage.stored().len(), 2);
            let once_more = stage.import_plan().ok();
            assert_eq!(once_more.stdout, "", "{field}\n{}", once_more.all());
        }
    }
}

const TWO: &str = "# Two\n## Dependencies\n- 001_one\n";

fn edges_follow_the_files_and_spare_a_persons() {
    let stage = stage(&[
        ("001_one.md", "# One"),
        ("002_two.md", TWO),
        ("003_three.md", "# Three"),
    ]);
    stage.import_plan().ok();
    let id = |title: &str| stage.titled(title)["id"].as_str().unwrap().to_owned();
    let (one, two, three) = (id("One"), id("Two"), id("Three"));
    let edge = |on: &str| json!({"issue_id": two, "depends_on_id": on, "type": "blocks"});
    // A person adds one: it stays, whatever the file says.
    stage.edit(&two, &json!({"dependencies": [edge(&one), edge(&three)]}));
    stage.write(
        "work/.plan/e/tasks/002_two.md",
        "# Two\n## Dependencies\n- None\n",
    );
    stage.import_plan().ok();
    assert_eq!(stage.blockers("Two"), ["Three"]);
    stage.write("work/.plan/e/tasks/002_two.md", TWO);
    stage.import_plan().ok();
    assert_eq!(stage.blockers("Two"), ["One", "Three"]);
    // A person removes one: it stays away.
    stage.edit(&two, &json!({"dependencies": [edge(&three)]}));
    stage.import_plan().ok();
    assert_eq!(stage.blockers("Two"), ["Three"]);
    // The files would close a circle with what a person wants: said, and the rest goes on.
    stage.write(
        "work/.plan/e/tasks/003_three.md",
        "# Three\n## Dependencies\n- 002_two\n",
    );
    stage.write("work/.plan/e/tasks/004_four.md", "# Four\n");
    stage
        .import_plan()
        .code(1)
        .says(&format!("003_three.md: '{two}' depends on it"));
    assert!(stage.blockers("Three").is_empty());
    stage.titled("Four");
}

fn a_circle_that_turns_is_followed() {
    let stage = stage(&[("001_one.md", "# One"), ("002_two.md", TWO)]);
    stage.import_plan().ok();
    stage.write("work/.plan/e/tasks/002_two.md", "# Two");
    stage.write(
        "work/.plan/e/tasks/001_one.md",
        "# One\n## Dependencies\n- 002_two\n",
    );
    stage.import_plan().ok();
    assert_eq!(stage.blockers("One"), ["Two"]);
    assert!(stage.blockers("Two").is_empty());
}

fn closed_and_complete_ones_are_left() {
    let stage = stage(&[("001_one.md", FIRST), ("002_two.md", TWO)]);
    stage.import_plan().ok();
    let id = stage.titled("One")["id"].as_str().unwrap().to_owned();
    stage.write(
        "work/.plan/e/tasks/001_one.md",
        "# One\n**Status:** Complete\n",
    );
    stage
        .import_plan()
        .ok()
        .says(&format!("complete; its bead {id} stays as it is"));
    assert!(stage.blockers("Two").is_empty());
    stage.edit(&id, &json!({"status": "closed"}));
    stage.write("work/.plan/e/tasks/001_one.md", "# Done long ago\n");
    let ran = stage.import_plan().ok();
    assert_eq!(stage.bead(&id)["title"], "One", "{}", ran.all());
}

/// The same on the real bd, where edges are writes of their own.
fn the_real_bd_is_revised() {
    let stage = Stage::on_bd(&[]);
    stage.write("work/.plan/e/PLAN.md", "# E\n");
    stage.write("work/.plan/e/tasks/001_one.md", FIRST);
    stage.write("work/.plan/e/tasks/002_two.md", TWO);
    // More than an argument can carry.
    let long = "lorem ipsum\n".repeat(90_000);
    stage.write("work/.plan/e/tasks/003_long.md", &format!("# Long\n{long}"));
    stage.import_plan().ok();
    let stored = stage.titled("Long");
    assert_eq!(stored["description"], long.trim_end());
    let id = stage.titled("One")["id"].as_str().unwrap().to_owned();
    stage.sh(&format!("bd update {id} --acceptance mine")).ok();
    let changed = "# --New $(touch no)\n**Status:** Blocked\n\u{1b}[31mnew\n## Dependencies\n- 002_two\n## Acceptance Criteria\nnew\n";
    stage.write("work/.plan/e/tasks/001_one.md", changed);
    stage.write("work/.plan/e/tasks/002_two.md", "# Two\n");
    stage
        .import_plan()
        .ok()
        .says("left as it is: acceptance_criteria");
    let bead = stage.titled("--New $(touch no)");
    assert_eq!(
        (&bead["acceptance_criteria"], &bead["priority"]),
        (&json!("mine"), &json!(3))
    );
    assert!(
        bead["description"]
            .as_str()
            .unwrap()
            .contains("\u{1b}[31mnew")
    );
    assert_eq!(stage.blockers("--New $(touch no)"), ["Two"]);
    assert!(stage.blockers("Two").is_empty());
    assert_eq!(stage.import_plan().ok().stdout, "");
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test(
            "import: run again, a field follows the file unless a person changed it",
            each_side_changes_each_field,
        ),
        test(
            "import: run again, edges follow the files and spare a person's",
            edges_follow_the_files_and_spare_a_persons,
        ),
        test(
            "import: run again, an edge that turned around is turned around",
            a_circle_that_turns_is_followed,
        ),
        test(
            "import: run again, what is closed or complete is left",
            closed_and_complete_ones_are_left,
        ),
        test_with_bd("import: run again, on the real bd", the_real_bd_is_revised),
    ]
}
