//! What a remote's refusal of a push means.

use git::Ran;

/// Why the remote itself refused a push: a hook or a setting, which trying again will not change.
pub(super) fn declined(ran: &Ran) -> Option<String> {
    let refused = ran.stdout.lines().find(|line| {
        // What a race looks like is no refusal; its words differ between versions of git.
        let race = [
            "failed to update ref",
            "atomic",
            "cannot lock ref",
            "already exists",
            "old value",
        ];
        line.starts_with('!')
            && line.contains("[remote rejected]")
            && !race.iter().any(|word| line.contains(word))
    })?;
    let why = refused
        .rsplit_once('(')
        .map_or(refused, |(_, why)| why.trim_end_matches(')'));
    Some(format!("the remote refuses the push: {why}"))
}
