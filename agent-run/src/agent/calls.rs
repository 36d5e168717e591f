//! What an agent has called, as its log tells: the words of its own doing, without what it got back.

use serde_json::Value;

/// The texts in the calls of tools that one line of a log tells of, call by call. None where the line
/// is no event of a known form.
#[must_use]
pub fn calls(line: &str) -> Vec<Vec<String>> {
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return Vec::new();
    };
    let inputs: Vec<&Value> = match event["type"].as_str() {
        // codex
        Some("item.started" | "item.completed") => vec![&event["item"]["command"]],
        // opencode; gemini
        Some("tool_use") => vec![&event["part"]["state"]["input"], &event["parameters"]],
        // claude
        Some("assistant") => {
            let parts = event["message"]["content"].as_array();
            let parts = parts.into_iter().flatten();
            parts.map(|part| &part["input"]).collect()
        }
        _ => Vec::new(),
    };
    let texts = inputs.into_iter().map(|input| {
        let mut found = Vec::new();
        texts(input, &mut found);
        found
    });
    texts.filter(|texts| !texts.is_empty()).collect()
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_calls_is_told_from_what_it_gets_back() {
        for line in [
            r#"{"type":"item.completed","item":{"type":"command_execution","command":"mine","aggregated_output":"theirs"}}"#,
            r#"{"type":"tool_use","part":{"tool":"write","state":{"input":{"content":"mine"},"output":"theirs"}}}"#,
            r#"{"type":"tool_use","tool_name":"write_file","parameters":{"content":"mine"}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"theirs"},{"type":"tool_use","name":"Write","input":{"content":"mine"}}]}}"#,
        ] {
            assert_eq!(calls(line), [["mine"]], "{line}");
        }
        for line in [
            r#"{"type":"tool_result","output":"theirs"}"#,
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"theirs"}]}}"#,
            "plain text",
            "7",
        ] {
            assert_eq!(calls(line), Vec::<Vec<String>>::new(), "{line}");
        }
    }
}
