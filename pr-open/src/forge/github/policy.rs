//! What a base asks for: the union of its rules and of its classic protection, as far as the token
//! may read them.

use serde::Deserialize;
use serde_json::Value;

use super::wire::Branch;
use crate::http::Answer;
use crate::report::{Name, Policy};

/// A rule that holds for a branch.
#[derive(Deserialize)]
pub(super) struct Rule {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    parameters: Value,
}

impl Rule {
    pub(super) fn add_to(&self, policy: &mut Policy) {
        let said = &self.parameters;
        match self.kind.as_str() {
            "required_status_checks" => {
                let checks = &said["required_status_checks"];
                add_names(policy, checks, |check| &check["context"]);
                policy.strict |= is_set(&said["strict_required_status_checks_policy"]);
            }
            "pull_request" => add_approvals(policy, said),
            "merge_queue" => policy.queue = true,
            // The rest is GitHub's to enforce, and the merge's answer tells of it.
            _ => {}
        }
    }
}

/// Adds the classic protection of a branch, or why it cannot be read.
pub(super) fn add_protection(policy: &mut Policy, branch: &Branch, answer: &Answer) {
    let none = answer.status == 404 && answer.message().as_deref() == Some("Branch not protected");
    if none || is_beyond_the_plan(answer) {
        return;
    }
    match answer.json::<Value>() {
        Ok(said) => {
            add_checks(policy, &said["required_status_checks"]);
            add_approvals(policy, &said["required_pull_request_reviews"]);
        }
        Err(why) => {
            // Its checks stand in the branch itself, which everybody may read.
            let checks = &branch.protection["required_status_checks"];
            if checks["enforcement_level"] != "off" {
                add_checks(policy, checks);
            }
            policy.unread = Some(format!("{why:#}"));
        }
    }
}

/// Whether there can be no rule, as the repository's plan has none.
pub(super) fn is_beyond_the_plan(answer: &Answer) -> bool {
    answer.status == 403
        && answer
            .message()
            .is_some_and(|message| message.starts_with("Upgrade to GitHub"))
}

/// Whether GitHub itself says that nothing is missing but, at the most, the base (`mergeable_state`).
pub(super) fn is_met(state: &str) -> bool {
    ["clean", "has_hooks", "unstable", "behind"]
        .iter()
        .any(|met| state.eq_ignore_ascii_case(met))
}

fn is_set(value: &Value) -> bool {
    value.as_bool().unwrap_or_default()
}

fn add_checks(policy: &mut Policy, said: &Value) {
    add_names(policy, &said["contexts"], |context| context);
    add_names(policy, &said["checks"], |check| &check["context"]);
    policy.strict |= is_set(&said["strict"]);
}

fn add_names(policy: &mut Policy, listed: &Value, name: impl Fn(&Value) -> &Value) {
    let listed = listed.as_array().into_iter().flatten();
    for text in listed.filter_map(|one| name(one).as_str()) {
        let name = Name::Is(text.to_owned());
        if !policy.required.contains(&name) {
            policy.required.push(name);
        }
    }
}

fn add_approvals(policy: &mut Policy, said: &Value) {
    let wanted = said["required_approving_review_count"].as_u64();
    policy.approvals = policy.approvals.max(wanted.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use ureq::http::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer {
            status,
            body: body.to_string(),
            headers: HeaderMap::new(),
        }
    }

    fn read(rules: Value, status: u16, protection: &Value) -> Policy {
        let mut policy = Policy::default();
        let rules: Vec<Rule> = serde_json::from_value(rules).expect("rules");
        for rule in rules {
            rule.add_to(&mut policy);
        }
        let branch = json!({"commit": {"sha": ""}, "protection": {"required_status_checks":
            {"enforcement_level": "everyone", "contexts": ["seen"], "checks": []}}});
        let branch: Branch = serde_json::from_value(branch).expect("a branch");
        add_protection(&mut policy, &branch, &answer(status, protection));
        policy
    }

    fn names(policy: &Policy) -> Vec<&str> {
        policy.required.iter().map(Name::text).collect()
    }

    #[test]
    fn rules_and_protection_are_added_up() {
        let rules = json!([
            {"type": "deletion"},
            {"type": "required_status_checks", "parameters": {
                "required_status_checks": [{"context": "a"}, {"context": "b", "integration_id": 1}],
                "strict_required_status_checks_policy": true}},
            {"type": "pull_request", "parameters": {"required_approving_review_count": 2}},
            {"type": "merge_queue", "parameters": {}},
        ]);
        let classic = json!({
            "required_status_checks": {"strict": false, "contexts": ["b", "c"],
                "checks": [{"context": "c", "app_id": null}]},
            "required_pull_request_reviews": {"required_approving_review_count": 1}});
        let policy = read(rules, 200, &classic);
        assert_eq!(names(&policy), ["a", "b", "c"]);
        assert!(policy.strict && policy.queue && policy.unread.is_none());
        assert_eq!(policy.approvals, 2);
    }

    #[test]
    fn what_may_not_be_read_is_not_taken_for_nothing() {
        let said = |message: &str| json!({"message": message});
        let none = read(json!([]), 404, &said("Branch not protected"));
        assert_eq!(none, Policy::default());
        let free = "Upgrade to GitHub Pro or make this repository public to enable this feature.";
        assert_eq!(read(json!([]), 403, &said(free)), Policy::default());
        for (status, words) in [(404, "Not Found"), (403, "Resource not accessible")] {
            let policy = read(json!([]), status, &said(words));
            assert_eq!(names(&policy), ["seen"]);
            assert!(policy.unread.expect("unread").contains(words));
        }
        assert!(is_met("CLEAN") && is_met("unstable"));
        assert!(!is_met("blocked") && !is_met("unknown") && !is_met(""));
    }
}
