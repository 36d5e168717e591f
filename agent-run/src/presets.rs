//! The agents that people use: name and command line, the prompt on stdin.
//!
//! Measured with the versions current in November 2026, except `claude` (from its documentation).

/// Name, and the command line that makes the program work alone: no questions, no sandbox of its
/// own (see `--launcher`), no calls home.
const PRESETS: [(&str, &str); 6] = [
    (
        "codex",
        "exec codex exec --json --dangerously-bypass-approvals-and-sandbox -c analytics.enabled=false -",
    ),
    (
        "opencode",
        "OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_MODELS_FETCH=1 exec opencode run --auto --format json",
    ),
    (
        "gemini",
        "exec gemini --skip-trust --approval-mode yolo -o stream-json",
    ),
    (
        "aider",
        "exec aider --yes-always --no-gitignore --map-tokens 0 --chat-history-file /dev/null --input-history-file /dev/null --no-suggest-shell-commands --no-detect-urls --no-check-update --analytics-disable --no-show-release-notes --no-show-model-warnings --no-pretty --no-fancy-input --message-file /dev/stdin",
    ),
    (
        "claude",
        "DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 exec claude -p --output-format stream-json --verbose --permission-mode bypassPermissions",
    ),
    (
        "mini",
        "MSWEA_CONFIGURED=true MSWEA_COST_TRACKING=ignore_errors MSWEA_SILENT_STARTUP=1 exec mini -y --exit-immediately -o \"${TMPDIR:-/tmp}/$BEAD_RUN.traj.json\" -t \"$(cat)\"",
    ),
];

/// The command line for `sh -c`: a preset's, or what was given.
#[must_use]
pub fn command_line(agent: &str) -> &str {
    PRESETS
        .iter()
        .find(|(name, _)| *name == agent)
        .map_or(agent, |(_, line)| line)
}
