//! An agent's log as people read it: what it says, what it calls, what comes back, what it used.
//!
//! Each line is read by itself, whatever program printed it. What is no event of a known form is
//! shown as it stands. All of it is untrusted text: nothing reaches a terminal but printable signs.

use beads::harmless;
use serde_json::Value;

/// So many lines of what a tool gave back are shown, half of them from its end.
const GIVEN: usize = 20;

/// A line of a log as lines to show; none where it says nothing to people.
#[must_use]
pub fn readable(line: &str) -> Vec<String> {
    let line = line.trim_end();
    let event = match line.starts_with('{') {
        true => serde_json::from_str::<Value>(line).ok(),
        false => None,
    };
    match event.as_ref().and_then(parts) {
        Some(parts) => parts.iter().flat_map(Part::lines).collect(),
        None => vec![printable(line)],
    }
}

/// What one event tells.
enum Part {
    Says(String),
    Calls(String),
    Gives(String),
    Used(String),
    Wrong(String),
}

impl Part {
    fn lines(&self) -> Vec<String> {
        let each = |mark: &str, text: &str| -> Vec<String> {
            let lines = text.trim_end().lines();
            lines
                .map(|line| format!("{mark}{}", printable(line)))
                .collect()
        };
        match self {
            Self::Says(text) => each("", text),
            Self::Calls(text) => each("$ ", text),
            Self::Used(text) => each("= ", text),
            Self::Wrong(text) => each("! ", text),
            Self::Gives(text) => {
                let mut lines = each("  ", text);
                if lines.len() > GIVEN {
                    let left_out = lines.len() - GIVEN;
                    let end = lines.split_off(lines.len() - GIVEN / 2);
                    lines.truncate(GIVEN / 2);
                    lines.push(format!("  … {left_out} lines left out"));
                    lines.extend(end);
                }
                lines
            }
        }
    }
}

/// `None`: the event is of no known form.
fn parts(event: &Value) -> Option<Vec<Part>> {
    let kind = event["type"].as_str()?;
    let text = |at: &str| event.pointer(at).and_then(Value::as_str).map(str::to_owned);
    Some(match kind {
        // codex
        "item.started" | "item.completed" => item(kind, &event["item"])?,
        "turn.completed" => vec![used(event, "/usage", "")],
        "turn.failed" => vec![Part::Wrong(text("/error/message")?)],
        "error" => {
            let said = ["/message", "/error/data/message", "/error/name"];
            vec![Part::Wrong(said.iter().find_map(|at| text(at))?)]
        }
        // opencode
        "text" => vec![Part::Says(text("/part/text")?)],
        "tool_use" if event.get("part").is_some() => {
            let state = &event["part"]["state"];
            let given = state["output"].as_str().or(state["error"].as_str());
            let call = call(event["part"]["tool"].as_str()?, &state["input"]);
            vec![call, Part::Gives(given.unwrap_or_default().to_owned())]
        }
        "step_finish" => vec![used(event, "/part/tokens", "/part/cost")],
        // gemini
        "message" if event["role"] == "assistant" => vec![Part::Says(text("/content")?)],
        "tool_use" => vec![call(event["tool_name"].as_str()?, &event["parameters"])],
        "tool_result" => vec![Part::Gives(text("/output").or(text("/error/message"))?)],
        "result" if event.get("stats").is_some() => {
            let wrong = text("/error/message").map(Part::Wrong);
            wrong
                .into_iter()
                .chain([used(event, "/stats", "")])
                .collect()
        }
        // claude
        "assistant" | "user" if event.get("message").is_some() => {
            let content = event.pointer("/message/content")?.as_array()?;
            content.iter().filter_map(content_part).collect()
        }
        "result" => {
            let wrong = (event["is_error"] == true).then(|| text("/result").map(Part::Wrong));
            let used = used(event, "/usage", "/total_cost_usd");
            wrong.flatten().into_iter().chain([used]).collect()
        }
        "thread.started" | "turn.started" | "step_start" | "init" | "message" | "system" => vec![],
        _ => return None,
    })
}

/// An item of codex: shown when it starts if it is a command, else when it is complete.
fn item(kind: &str, item: &Value) -> Option<Vec<Part>> {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let complete = kind == "item.completed";
    Some(match item["type"].as_str()? {
        "command_execution" if complete => {
            let failed = item["exit_code"].as_i64().filter(|code| *code != 0);
            let failed = failed.map(|code| Part::Wrong(format!("exit {code}")));
            [Part::Gives(text("aggregated_output"))]
                .into_iter()
                .chain(failed)
                .collect()
        }
        "command_execution" => vec![Part::Calls(text("command"))],
        _ if !complete => vec![],
        "agent_message" | "reasoning" => vec![Part::Says(text("text"))],
        "error" => vec![Part::Wrong(text("message"))],
        other => vec![Part::Calls(format!("{other} {}", short(item)))],
    })
}

/// A part of a message of claude.
fn content_part(part: &Value) -> Option<Part> {
    Some(match part["type"].as_str()? {
        "text" => Part::Says(part["text"].as_str()?.to_owned()),
        "tool_use" => call(part["name"].as_str()?, &part["input"]),
        "tool_result" => Part::Gives(match &part["content"] {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                let texts = parts.iter().filter_map(|part| part["text"].as_str());
                texts.collect::<Vec<_>>().join("\n")
            }
            _ => return None,
        }),
        _ => return None,
    })
}

/// A call of a tool: a command as it is, anything else with its arguments.
fn call(tool: &str, input: &Value) -> Part {
    match input["command"].as_str() {
        Some(command) => Part::Calls(command.to_owned()),
        None => Part::Calls(format!("{tool} {}", short(input))),
    }
}

/// JSON on one line, cut where it gets long.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn used(event: &Value, tokens: &str, cost: &str) -> Part {
    let count = |names: [&str; 2]| {
        let mut found = names
            .iter()
            .filter_map(|name| event.pointer(&format!("{tokens}/{name}")));
        found.find_map(Value::as_u64).unwrap_or_default()
    };
    let (input, output) = (
        count(["input_tokens", "input"]),
        count(["output_tokens", "output"]),
    );
    let cost = event
        .pointer(cost)
        .and_then(Value::as_f64)
        .filter(|cost| *cost > 0.0);
    let cost = cost.map_or_else(String::new, |cost| format!(", ${cost:.4}"));
    Part::Used(format!("{input} tokens in, {output} out{cost}"))
}

fn printable(line: &str) -> String {
    harmless(&line.replace('\t', "    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agents_events_are_shown_alike() {
        for (line, shown) in [
            (
                r#"{"type":"item.started","item":{"type":"command_execution","command":"ls"}}"#,
                "$ ls",
            ),
            (
                r#"{"type":"item.completed","item":{"type":"command_execution","command":"ls","aggregated_output":"a\n","exit_code":2}}"#,
                "  a|! exit 2",
            ),
            (
                r#"{"type":"item.completed","item":{"type":"agent_message","text":"Done."}}"#,
                "Done.",
            ),
            (
                r#"{"type":"turn.completed","usage":{"input_tokens":3600,"output_tokens":102}}"#,
                "= 3600 tokens in, 102 out",
            ),
            (
                r#"{"type":"tool_use","part":{"tool":"bash","state":{"input":{"command":"ls"},"output":"a\n"}}}"#,
                "$ ls|  a",
            ),
            (
                r#"{"type":"step_finish","part":{"tokens":{"input":1200,"output":34},"cost":0.00154}}"#,
                "= 1200 tokens in, 34 out, $0.0015",
            ),
            (
                r#"{"type":"error","error":{"name":"APIError","data":{"message":"no"}}}"#,
                "! no",
            ),
            (
                r#"{"type":"tool_use","tool_name":"read_file","parameters":{"path":"a"}}"#,
                r#"$ read_file {"path":"a"}"#,
            ),
            (
                r#"{"type":"tool_result","status":"success","output":"a"}"#,
                "  a",
            ),
            (
                r#"{"type":"message","role":"user","content":"the prompt"}"#,
                "",
            ),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Hi."},{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}"#,
                "Hi.|$ ls",
            ),
            (
                r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"a"}]}}"#,
                "  a",
            ),
            (
                r#"{"type":"result","is_error":true,"result":"no","usage":{"input_tokens":1,"output_tokens":2},"total_cost_usd":0.5}"#,
                "! no|= 1 tokens in, 2 out, $0.5000",
            ),
            ("plain\ttext", "plain    text"),
            (r#"{"type":"news"}"#, r#"{"type":"news"}"#),
        ] {
            assert_eq!(readable(line).join("|"), shown, "{line}");
        }
    }

    #[test]
    fn nothing_reaches_the_terminal_but_printable_signs() {
        let said = r#"{"type":"text","part":{"text":"a\u001b[2Jb\nc\u202e"}}"#;
        assert_eq!(readable(said), ["a\\u{1b}[2Jb", "c\\u{202e}"]);
        assert_eq!(readable("\u{1b}]0;title\u{7}"), ["\\u{1b}]0;title\\u{7}"]);
    }

    #[test]
    fn long_results_are_cut_in_the_middle() {
        let numbers: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
        let output = numbers.join("\\n");
        let lines = readable(&format!(r#"{{"type":"tool_result","output":"{output}"}}"#));
        assert_eq!(lines.len(), GIVEN + 1);
        assert_eq!(
            (lines[0].as_str(), lines[10].as_str(), lines[20].as_str()),
            ("  1", "  … 80 lines left out", "  100")
        );
    }
}
