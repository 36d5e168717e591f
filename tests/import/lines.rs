//! Beads of JSON lines on stdin.

use libtest_mimic::Trial;
use serde_json::json;

use crate::stage::{Stage, task, test, test_with_bd};

const LINES: &str = r#"{"id":"t-10","title":"Epic","issue_type":"epic","priority":0}
{"id":"t-11","title":"First $(x)","description":"d","acceptance_criteria":"a","design":"g","labels":["x","y"],"parent":"t-10","unknown":1}
{"id":"t-12","title":"Second","dependencies":["t-11",{"depends_on_id":"t-10","type":"parent-child"}],"metadata":{"phase":"merged"}}
"#;

fn lines_become_beads(stage: &Stage) {
    let ran = stage.feed("bd-import", LINES).ok();
    assert_eq!(ran.ids(), ["t-10", "t-11", "t-12"]);
    let first = stage.bead("t-11");
    for (field, value) in [
        ("title", "First $(x)"),
        ("description", "d"),
        ("acceptance_criteria", "a"),
        ("design", "g"),
        ("status", "open"),
    ] {
        assert_eq!(first[field], value, "{}", ran.all());
    }
    assert_eq!(
        (&first["priority"], &first["labels"]),
        (&json!(2), &json!(["x", "y"]))
    );
    assert_eq!(stage.blockers("Second"), ["First $(x)"]);
    assert!(stage.bead("t-12")["metadata"]["phase"].is_null());
    stage
        .sh("test \"$(bd-ready --epic t-10 | wc -l)\" = 1")
        .ok();
    let again = stage
        .feed("bd-import", LINES)
        .ok()
        .says("0 created, 0 updated, 0 unchanged, 3 skipped");
    assert_eq!(again.stdout, "");
}

fn each_wrong_line_is_named() {
    let stage = Stage::new(&[task("t-1")]);
    let table = [
        ("{}", "it has no title"),
        (r#"{"title":"  "}"#, "it has no title"),
        (r#"{"title":7}"#, "not a bead"),
        ("[1]", "not a bead"),
        ("no json", "not JSON"),
        (
            r#"{"title":"x","priority":9}"#,
            "its priority is not one of 0 to 4",
        ),
        (
            r#"{"title":"x","dependencies":["t-9"]}"#,
            "it depends on 't-9', which is neither there",
        ),
        (
            r#"{"title":"x","dependencies":[{"depends_on_id":"t-1","type":"odd"}]}"#,
            "a dependency of type 'odd' is not taken",
        ),
        (r#"{"title":"x","parent":"t-9"}"#, "it depends on 't-9'"),
        (r#"{"title":"a\u0000b"}"#, "it holds a NUL character"),
    ];
    for (line, words) in table {
        let input = format!("\n{line}\r\n{{\"title\":\"good\"}}\n");
        let ran = stage
            .feed("bd-import", &input)
            .code(1)
            .says(&format!("line 2: {words}"));
        assert_eq!(ran.beads().len(), 1, "{}", ran.all());
    }
    // Without an id each one is another.
    assert_eq!(stage.stored().len(), 1 + table.len());
    let dry = stage.feed("bd-import --dry-run", "{\"title\":\"x\"}").ok();
    assert_eq!(dry.beads()[0]["id"], "line 1");
    assert_eq!(stage.stored().len(), 1 + table.len());
}

fn a_terminal_is_refused() {
    let stage = Stage::new(&[]);
    let ran = stage.sh("script --quiet --return --command bd-import /dev/null < /dev/null");
    assert_eq!(ran.code, Some(2), "{}", ran.all());
    assert!(ran.stdout.contains("stdin is a terminal"), "{}", ran.all());
    stage.sh("bd-import < /dev/null").ok().says("0 created");
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("import: JSON lines become beads, once", || {
            lines_become_beads(&Stage::new(&[]));
        }),
        test_with_bd(
            "import: JSON lines become beads, once, on the real bd",
            || {
                lines_become_beads(&Stage::on_bd(&[]));
            },
        ),
        test(
            "import: a wrong line is named, and the rest goes on",
            each_wrong_line_is_named,
        ),
        test("import: a terminal is no input", a_terminal_is_refused),
    ]
}
