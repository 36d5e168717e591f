//! What agents, and the commands of a person's settings that run their code, are started with.

use clap::Args;

/// The flags of every program that starts an agent, a check, a set-up or a reviewer.
#[derive(Args, Clone, Debug, Default)]
pub struct Launch {
    /// Wrapper command, such as 'bwrap …': the command lines of agents, set-ups, checks and
    /// reviewers are appended to it
    #[arg(long, env, value_name = "CMD")]
    pub launcher: Option<String>,

    /// Wrapper command for set-ups, checks and reviewers instead; empty for none
    #[arg(long, env, value_name = "CMD")]
    pub check_launcher: Option<String>,

    /// Variable that agents, set-ups and checks may see besides the usual ones; may be given
    /// several times
    #[arg(long, env, value_name = "NAME", value_delimiter = ',')]
    pub env: Vec<String>,
}

impl Launch {
    /// What starts the agent.
    #[must_use]
    pub fn of_agents(&self) -> Option<&str> {
        self.launcher.as_deref().filter(|line| !is_blank(line))
    }

    /// What starts set-ups, checks and reviewers.
    #[must_use]
    pub fn of_checks(&self) -> Option<&str> {
        match &self.check_launcher {
            Some(line) => Some(line.as_str()).filter(|line| !is_blank(line)),
            None => self.of_agents(),
        }
    }
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_start_as_agents_do_unless_another_word_is_given() {
        let launch = |agents: Option<&str>, checks: Option<&str>| {
            let launch = Launch {
                launcher: agents.map(str::to_owned),
                check_launcher: checks.map(str::to_owned),
                ..Launch::default()
            };
            launch.of_checks().map(str::to_owned)
        };
        assert_eq!(launch(None, None), None);
        assert_eq!(launch(Some("a"), None).as_deref(), Some("a"));
        assert_eq!(launch(Some("a"), Some("b")).as_deref(), Some("b"));
        assert_eq!(launch(Some("a"), Some(" ")), None);
        assert_eq!(launch(Some(""), None), None);
        assert_eq!(launch(None, Some("b")).as_deref(), Some("b"));
    }
}
