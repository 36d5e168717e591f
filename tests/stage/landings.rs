//! What lands is what was tested: the remote itself sees to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::Stage;

/// Before a check: on which commit it runs, with whose files and no others. Noted when it is green.
/// What keeps it from knowing is no word on the work.
const NOTES: &str = r#"at=$(git rev-parse HEAD) && odd=$(git status --porcelain) || kill -KILL $$
[ -z "$odd" ] || { echo "not the files of $at: $odd"; exit 99; }
trap '[ $? != 0 ] || echo "$at" >> "$HOME/../green"' EXIT
set -eu
"#;

/// Programs of the line, and nobody else on a stage, ask git for words in C.
const HOOK: &str = r#"#!/bin/sh
case $1 in refs/heads/agent/* | refs/heads/beadline/*) exit 0 ;; refs/heads/*) ;; *) exit 0 ;; esac
[ "${LC_ALL-}" = C ] || exit 0
grep -qsx "$3" "$HOME/../green" || { echo "$3 was not tested" >&2; exit 1; }
"#;

impl Stage {
    /// A check: a shell script, run where it is to be green. From here on the remote takes no
    /// landing of a commit on which it was not.
    pub(crate) fn check(&self, script: &str) -> String {
        self.write("check.sh", &format!("{NOTES}{script}\n"));
        self.write("remote.git/hooks/update", HOOK);
        let is_run = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path("remote.git/hooks/update"), is_run).unwrap();
        format!("sh {}", self.path("check.sh").display())
    }
}
