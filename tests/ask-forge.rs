//! Asks a forge what our programs ask, for tests that have a server of facts but nothing to push to.
//!
//! Reads one question a line, such as `{"find": {"branch": "b", "head": "SHA"}}`, and prints each
//! answer as a line of JSON, with `error` where there is none. Words of enums are as Rust writes them.

use std::env;
use std::io::{self, BufRead, Write};

use anyhow::{Context, bail};
use beads::Repository;
use clap::Parser;
use forge::{Forge, Land, Landing, Method, NewPull, Opened, Pull, Report, State, Wanted};
use git::{Look, Sha};
use serde_json::{Value, json};

/// Ask a forge
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    forge: forge::Flags,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let repository = Repository::discover(&env::current_dir()?)?;
    let look = Look::open(&repository)?;
    let forge = args.forge.open(&repository, &look)?;
    for line in io::stdin().lock().lines() {
        let question = serde_json::from_str(&line?)?;
        let answer = ask(forge.as_ref(), &question);
        let answer = answer.unwrap_or_else(|err| json!({"error": format!("{err:#}")}));
        writeln!(io::stdout().lock(), "{answer}")?;
    }
    Ok(())
}

fn ask(forge: &dyn Forge, question: &Value) -> anyhow::Result<Value> {
    let asked = question.as_object().and_then(|asked| asked.iter().next());
    let (verb, of) = asked.context("no question")?;
    let found = match verb.as_str() {
        "find" => forge.find(&text(of, "branch"), sha(of, "head")?)?,
        "pull" => forge.pull(&wanted(of)?)?,
        "pulls" => {
            let wanted: anyhow::Result<Vec<Wanted>> =
                of.as_array().into_iter().flatten().map(wanted).collect();
            let pulls = forge.pulls(&wanted?)?;
            let seen = |seen: forge::Seen| match seen {
                Ok(found) => found.as_ref().map_or(Value::Null, pull),
                Err(err) => json!({"unread": format!("{err:#}")}),
            };
            return Ok(pulls.into_iter().map(seen).collect());
        }
        "open" => match forge.open(&new(of)?)? {
            Opened::Created(found) => return Ok(json!({"created": pull(&found)})),
            Opened::Existed(found) => return Ok(json!({"existed": pull(&found)})),
            other => return Ok(json!(format!("{other:?}"))),
        },
        "land" => {
            let all: anyhow::Result<Vec<Landing>> = match of.as_array() {
                Some(several) => several.iter().map(landing).collect(),
                None => Ok(vec![landing(of)?]),
            };
            return Ok(json!(format!("{:?}", forge.land(&all?)?)));
        }
        "settle" => {
            forge.settle(&wanted(of)?, sha(of, "head")?, sha(of, "commit")?)?;
            None
        }
        other => bail!("no such question: {other}"),
    };
    Ok(found.as_ref().map_or(Value::Null, pull))
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

fn sha(of: &Value, name: &str) -> anyhow::Result<Sha> {
    Sha::from_hex(text(of, name).as_bytes()).with_context(|| format!("{name} is no commit"))
}

fn wanted(of: &Value) -> anyhow::Result<Wanted> {
    Ok(Wanted {
        number: of["number"].as_u64().context("no number")?,
        branch: text(of, "branch"),
        base: text(of, "base"),
        head: sha(of, "head")?,
    })
}

fn new(of: &Value) -> anyhow::Result<NewPull> {
    let list = |name| {
        let listed = of[name].as_array().into_iter().flatten();
        listed
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    Ok(NewPull {
        branch: text(of, "branch"),
        base: text(of, "base"),
        ours: of["ours"].as_u64().unwrap_or_default(),
        head: sha(of, "head")?,
        title: text(of, "title"),
        body: text(of, "body"),
        draft: of["draft"].as_bool().unwrap_or_default(),
        labels: list("labels"),
        reviewers: list("reviewers"),
    })
}

fn landing(of: &Value) -> anyhow::Result<Landing> {
    Ok(Landing {
        wanted: wanted(of)?,
        head: sha(of, "head")?,
        base_head: sha(of, "base_head")?,
        commit: sha(of, "commit")?,
        tree: sha(of, "tree")?,
        method: Method::Squash,
        title: text(of, "title"),
        text: text(of, "text"),
        queue: of["queue"] == true,
        land: match of["land"] == "push" {
            true => Land::Push,
            false => Land::Merge,
        },
    })
}

fn pull(found: &Pull) -> Value {
    let sha = |sha: &Option<Sha>| sha.map(|sha| sha.to_string());
    json!({
        "number": found.number,
        "url": found.url,
        "state": state(found.state),
        "draft": found.draft,
        "head": sha(&found.head),
        "base_head": sha(&found.base_head),
        "report": found.report.as_ref().map(report),
    })
}

fn state(of: State) -> Value {
    match of {
        State::Open => json!("open"),
        State::Closed => json!("closed"),
        State::Merged { head, commit } => {
            json!({"head": head.to_string(), "commit": commit.to_string()})
        }
    }
}

fn report(of: &Report) -> Value {
    let checks = of.checks.as_ref().map(|checks| {
        let check = |check: &forge::Check| json!([check.name, format!("{:?}", check.stand)]);
        checks.iter().map(check).collect::<Value>()
    });
    let reviews = of.reviews.as_ref().map(|reviews| {
        let review = |review: &forge::Review| json!([review.by, format!("{:?}", review.says)]);
        reviews.iter().map(review).collect::<Value>()
    });
    let policy = of.policy.as_ref().map(|policy| {
        let required: Vec<&str> = policy.required.iter().map(forge::Name::text).collect();
        json!({"required": required, "approvals": policy.approvals})
    });
    let known = |part: Result<Value, &String>| part.unwrap_or_else(|why| json!({"unknown": why}));
    json!({
        "author": of.author,
        "checks": known(checks),
        "reviews": known(reviews),
        "policy": known(policy),
    })
}
