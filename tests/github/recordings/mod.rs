//! What GitHub itself has said, as `PyGithub`'s authors have recorded it since 2012: our client has to
//! understand every answer to a call that it makes, too.

mod pulls;
mod replay;
mod repositories;

use std::collections::HashSet;
use std::fs;
use std::sync::LazyLock;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::github::http::Answer;
use crate::stage::{self, Ran, Stage, parts};
use replay::Replay;

/// The folder with the recordings, as `tests/parts.sh` installs it.
const FOLDER: &str = "pygithub-2.10.0";

/// A head that nothing is known of.
const HEAD: &str = "4ead000000000000000000000000000000000000";

/// One answer of GitHub's.
#[derive(Clone, Debug)]
struct Recording {
    /// Which test of `PyGithub`'s it was recorded for.
    from: String,
    verb: String,
    target: String,
    status: u16,
    head: Vec<(String, String)>,
    body: String,
}

static RECORDINGS: LazyLock<Vec<Recording>> = LazyLock::new(|| {
    let path = parts().join(FOLDER).join("exchanges.jsonl");
    let text = fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    text.lines().filter_map(Recording::read).collect()
});

impl Recording {
    /// `None`: it was said by another server.
    fn read(line: &str) -> Option<Self> {
        let read: Value = serde_json::from_str(line).unwrap();
        if read["host"] != "api.github.com" {
            return None;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let head = read["head"].as_array().into_iter().flatten();
        Some(Self {
            from: text(&read["from"]),
            verb: text(&read["verb"]),
            target: text(&read["target"]),
            status: read["status"].as_u64()?.try_into().ok()?,
            head: head.map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
            body: text(&read["body"]),
        })
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Owner and name of its repository, and the rest of its path.
    fn steps(&self) -> Option<(&str, &str, Vec<&str>)> {
        let mut steps = self.path().strip_prefix("/repos/")?.split('/');
        Some((steps.next()?, steps.next()?, steps.collect()))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Why GitHub refused.
    fn message(&self) -> String {
        let body = self.json();
        body["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The number in its path.
    fn number(&self) -> Option<u64> {
        self.path().split('/').find_map(|step| step.parse().ok())
    }

    /// Status, head and body, but for what is a matter of the connection; of its own API it says that
    /// it is here.
    fn answer(&self, port: u16) -> Answer {
        let of_connection = [
            "status",
            "connection",
            "content-length",
            "content-encoding",
            "transfer-encoding",
        ];
        let here = format!("http://127.0.0.1:{port}");
        let is_said = |(name, _): &&(String, String)| {
            !of_connection.contains(&name.to_ascii_lowercase().as_str())
        };
        let head = self.head.iter().filter(is_said).map(|(name, value)| {
            let value = value.replace("https://api.github.com:443", "https://api.github.com");
            let value = value.replace("https://api.github.com", &here);
            (name.clone(), value)
        });
        Answer {
            status: self.status,
            head: head.collect(),
            body: self.body.clone(),
        }
    }
}

/// All different recordings of a call, given by verb and the steps of its path; `*` is any step.
fn of_call(verb: &str, steps: &[&str]) -> Vec<&'static Recording> {
    let fits = |recording: &&Recording| {
        let Some((_, _, given)) = recording.steps() else {
            return false;
        };
        let is = |(step, given): (&&str, &&str)| *step == "*" || step == given;
        recording.verb == verb && given.len() == steps.len() && steps.iter().zip(&given).all(is)
    };
    let mut seen = HashSet::new();
    let mut is_new =
        |one: &&Recording| seen.insert((one.path().to_owned(), one.status, one.body.clone()));
    let all = RECORDINGS.iter().filter(fits);
    all.filter(|one| is_new(one)).collect()
}

/// Where our client is asked, one recording after the other.
struct Client {
    stage: Stage,
    wrong: Vec<String>,
    count: usize,
}

/// What came of one question.
struct Heard {
    ran: Ran,
    /// The answer; null where there is none.
    answer: Value,
    replay: Replay,
}

impl Client {
    fn new() -> Self {
        let mut stage = Stage::with_tasks(0);
        stage.set("GH_TOKEN", "t0ken");
        Self {
            stage,
            wrong: Vec::new(),
            count: 0,
        }
    }

    /// Asks our client a question, or several in a list, while GitHub says this and nothing special
    /// beside; `head` is every pull request's.
    fn ask(&self, recording: &Recording, head: &str, question: &Value) -> Heard {
        let (owner, name, _) = recording.steps().unwrap();
        let is_beside = |other: &&Recording| {
            let is_other = other.target != recording.target || other.status == 304;
            is_other && other.from == recording.from && other.path() != "/graphql"
        };
        let others = RECORDINGS.iter().filter(is_beside).cloned().collect();
        let replay = Replay::of(recording, others, head);
        let lines: Vec<String> = match question {
            Value::Array(several) => several.iter().map(Value::to_string).collect(),
            one => vec![one.to_string()],
        };
        self.stage.write("question", &(lines.join("\n") + "\n"));
        let ran = self.stage.sh(&format!(
            "git remote set-url origin https://github.com/{owner}/{name}.git
             GITHUB_API_URL={} ask-forge < ../question",
            replay.url()
        ));
        let answer = serde_json::from_str(&ran.stdout).unwrap_or_default();
        Heard {
            ran,
            answer,
            replay,
        }
    }

    /// Notes what is wrong about an answer.
    fn check(&mut self, recording: &Recording, told: &Heard, what: &str, is_right: bool) {
        let from = (&recording.from, recording.status, &recording.target);
        if told.replay.said().is_empty() {
            let log = told.replay.log();
            self.wrong.push(format!("{from:?}: never asked: {log:#?}"));
        } else if !is_right {
            let body: String = recording.body.chars().take(500).collect();
            let all = told.ran.all();
            self.wrong.push(format!("{from:?}: {what}: {body}\n{all}"));
        }
        self.count += 1;
    }

    /// Asserts that nothing was wrong, and that nothing was left out: there are so many recordings.
    #[track_caller]
    fn assert(self, count: usize) {
        let wrong = self.wrong.join("\n");
        assert!(
            self.wrong.is_empty(),
            "{} of {} not understood:\n{wrong}",
            self.wrong.len(),
            self.count
        );
        assert_eq!(self.count, count);
    }
}

/// A test that needs the recordings.
fn test(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    let part = format!("../{FOLDER}/exchanges.jsonl");
    stage::test_with(&part, "tests/parts.sh", &format!("github: {name}"), run)
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = repositories::trials();
    trials.extend(pulls::trials());
    trials
}
