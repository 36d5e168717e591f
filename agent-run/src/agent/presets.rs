//! The agents that people use: how each is run alone, and where its words stand.
//!
//! Measured with the versions current in November 2026, except `claude`, which follows its public
//! documentation. Agents change monthly; `tests/real_agents` runs those that are installed.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::format::{Trouble, Used, Words};

/// One agent.
#[derive(Debug)]
pub struct Preset {
    /// What `--agent` calls it; its program's name, too.
    pub name: &'static str,
    /// The command that installs it.
    pub install: &'static str,
    /// The variable with its key, to be let through by `--env`; a login of its own does as well.
    pub key: &'static str,
    /// The command line that makes it work alone, the prompt on stdin: no questions, no sandbox of
    /// its own (see `--launcher`), no calls home.
    pub line: &'static str,
    /// Variables that it may see besides the usual ones: settings, never keys.
    pub variables: &'static [&'static str],
    /// Where its words stand.
    pub words: Words,
}

use Trouble::{RateLimited, Unauthorized, Unreachable};

/// What the Python library of several agents calls its errors.
const LITELLM: &[(&str, Trouble)] = &[
    ("litellm.RateLimitError", RateLimited),
    ("litellm.AuthenticationError", Unauthorized),
    ("litellm.PermissionDeniedError", Unauthorized),
    ("litellm.InternalServerError", Unreachable),
    ("litellm.ServiceUnavailableError", Unreachable),
    ("litellm.APIConnectionError", Unreachable),
    ("litellm.Timeout", Unreachable),
];

/// An agent that nothing is known of.
static SILENT: Words = Words {
    used: Used::Untold,
    failures: &[],
    marks: &[],
    exits: &[],
};

/// In the order in which one is chosen where none is named.
pub static PRESETS: [Preset; 6] = [
    Preset {
        name: "codex",
        install: "npm install -g @openai/codex",
        key: "CODEX_API_KEY",
        line: "exec codex exec --json --dangerously-bypass-approvals-and-sandbox -c analytics.enabled=false -",
        variables: &["CODEX_HOME"],
        words: Words {
            used: Used::Event {
                kind: "turn.completed",
                input: &["/usage/input_tokens"],
                output: &["/usage/output_tokens"],
                cost: "",
            },
            // An `error` is followed by other events once it is over.
            failures: &[("turn.failed", ""), ("error", "")],
            marks: &[
                ("429 Too Many Requests", RateLimited),
                ("usage limit", RateLimited),
                ("401 Unauthorized", Unauthorized),
                ("403 Forbidden", Unauthorized),
                ("waiting for network", Unreachable),
                ("stream disconnected", Unreachable),
                ("error sending request", Unreachable),
                ("high demand", Unreachable),
                ("last status: 5", Unreachable),
            ],
            exits: &[],
        },
    },
    Preset {
        name: "opencode",
        install: "npm install -g opencode-ai",
        key: "the provider's, such as OPENAI_API_KEY",
        line: "OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_MODELS_FETCH=1 exec opencode run --auto --format json",
        variables: &["OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR"],
        words: Words {
            // Its input leaves out what came from the cache, its output the reasoning.
            used: Used::Event {
                kind: "step_finish",
                input: &[
                    "/part/tokens/input",
                    "/part/tokens/cache/read",
                    "/part/tokens/cache/write",
                ],
                output: &["/part/tokens/output", "/part/tokens/reasoning"],
                cost: "/part/cost",
            },
            failures: &[("error", "")],
            marks: &[
                ("\"statusCode\":429", RateLimited),
                ("\"statusCode\":401", Unauthorized),
                ("\"statusCode\":403", Unauthorized),
                ("\"statusCode\":5", Unreachable),
                ("\"isRetryable\":true", Unreachable),
            ],
            exits: &[],
        },
    },
    Preset {
        name: "gemini",
        install: "npm install -g @google/gemini-cli",
        key: "GEMINI_API_KEY",
        line: "exec gemini --skip-trust --approval-mode yolo -o stream-json",
        variables: &[
            "GEMINI_MODEL",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_CLOUD_LOCATION",
        ],
        words: Words {
            used: Used::Event {
                kind: "result",
                input: &["/stats/input_tokens"],
                output: &["/stats/output_tokens"],
                cost: "",
            },
            failures: &[("result", "\"status\":\"error\"")],
            marks: &[
                ("[API Error: terminated]", Unreachable),
                ("fetch failed", Unreachable),
                ("ECONNREFUSED", Unreachable),
            ],
            // 41: no way to authenticate; the others are HTTP's, modulo 256.
            exits: &[
                (41, Unauthorized),
                (401 - 256, Unauthorized),
                (403 - 256, Unauthorized),
                (429 - 256, RateLimited),
                (500 - 256, Unreachable),
                (502 - 256, Unreachable),
                (503 - 256, Unreachable),
                (504 - 256, Unreachable),
            ],
        },
    },
    Preset {
        name: "aider",
        install: "pip install aider-chat",
        key: "the provider's, such as OPENAI_API_KEY",
        line: "exec aider --yes-always --no-gitignore --map-tokens 0 --chat-history-file /dev/null --input-history-file /dev/null --no-suggest-shell-commands --no-detect-urls --no-check-update --analytics-disable --no-show-release-notes --no-show-model-warnings --no-pretty --no-fancy-input --message-file /dev/stdin",
        variables: &["AIDER_MODEL"],
        words: Words {
            used: Used::Prose,
            failures: &[],
            marks: LITELLM,
            exits: &[],
        },
    },
    Preset {
        name: "claude",
        install: "npm install -g @anthropic-ai/claude-code",
        key: "ANTHROPIC_API_KEY",
        line: "DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 exec claude -p --output-format stream-json --verbose --permission-mode bypassPermissions",
        variables: &["CLAUDE_CONFIG_DIR", "ANTHROPIC_MODEL"],
        words: Words {
            used: Used::Event {
                kind: "result",
                input: &[
                    "/usage/input_tokens",
                    "/usage/cache_creation_input_tokens",
                    "/usage/cache_read_input_tokens",
                ],
                output: &["/usage/output_tokens"],
                cost: "/total_cost_usd",
            },
            failures: &[("result", "\"is_error\":true")],
            marks: &[
                ("\"api_error_status\":429", RateLimited),
                ("hit your limit", RateLimited),
                ("usage limit reached", RateLimited),
                ("Rate limit reached", RateLimited),
                ("\"api_error_status\":401", Unauthorized),
                ("\"api_error_status\":403", Unauthorized),
                ("\"api_error_status\":5", Unreachable),
                ("Connection error", Unreachable),
            ],
            exits: &[],
        },
    },
    Preset {
        // The kernel takes no 128 KiB in one argument.
        name: "mini",
        install: "pip install mini-swe-agent mcp",
        key: "the provider's, such as OPENAI_API_KEY",
        line: "MSWEA_CONFIGURED=true MSWEA_COST_TRACKING=ignore_errors MSWEA_SILENT_STARTUP=1 exec mini -y --exit-immediately -o \"$BEAD_PROMPT.traj.json\" -t \"$(if [ \"$(wc -c)\" -lt 120000 ]; then cat \"$BEAD_PROMPT\"; else echo \"Do what stands in the file $BEAD_PROMPT.\"; fi)\"",
        variables: &["MSWEA_MODEL_NAME"],
        words: Words {
            used: Used::Untold,
            failures: &[],
            marks: LITELLM,
            exits: &[],
        },
    },
];

impl Preset {
    /// The preset of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Where its program is, if it is on the PATH.
    #[must_use]
    pub fn program(&self) -> Option<PathBuf> {
        let runs = |path: &PathBuf| {
            let meta = path.metadata();
            meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        env::split_paths(&env::var_os("PATH")?)
            .map(|dir| dir.join(self.name))
            .find(runs)
    }
}

/// The command line for `sh -c`: a preset's, or what was given.
#[must_use]
pub fn command_line(agent: &str) -> &str {
    Preset::named(agent).map_or(agent, |preset| preset.line)
}

/// Where the words of an agent stand: a preset, or a command line that runs one of their programs.
#[must_use]
pub fn words(agent: &str) -> &'static Words {
    let is_part = |c: char| c.is_alphanumeric() || "-_".contains(c);
    let runs = |preset: &&Preset| agent.split(|c| !is_part(c)).any(|word| word == preset.name);
    PRESETS
        .iter()
        .find(runs)
        .map_or(&SILENT, |preset| &preset.words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_of_ones_own_is_kept_and_understood() {
        let own = "cd . && codex exec --json -m model -";
        assert_eq!(command_line(own), own);
        assert!(!words(own).failures.is_empty());
        assert!(words("sh ./my-codex.sh").failures.is_empty());
    }
}
