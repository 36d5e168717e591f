//! Our client and GitHub's own, `gh`, on one state that neither of them keeps: what one does, the
//! other sees. The state is `myworld`'s, which takes any head for a merge, knows no rules and has no
//! git: heads are judged elsewhere.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::gateway::Gateway;
use crate::stage::{self, Ran, Stage, free_port, parts, until};

/// The folder with the double, as `tests/parts.sh` installs it.
const FOLDER: &str = "myworld-0.2.1";

/// Two people, and a repository with two branches and a base that asks for a check and an approval.
const WORLD: &str = r#"{name: forge, task: x, time: realtime, servers: {github: {seed: {viewer: alice,
  users: [{login: alice, email: alice@acme.test}, {login: bot, email: bot@acme.test}, {login: acme, type: Organization}],
  repos: [{name: acme/demo, files: {"a.txt": "one\n"}, branches: {
      one: {files: {"1.txt": "1\n"}, author: alice, message: one},
      two: {files: {"2.txt": "2\n"}, author: alice, message: two}},
    protected: {main: {required_checks: [ci], required_approvals: 1}}}]}}},
 agents: {alice: {as: alice@acme.test, task: x}, bot: {as: bot@acme.test, task: x}}}
"#;

/// A double of its own, and the way of our programs to it.
struct World {
    stage: Stage,
    gateway: Gateway,
    /// Where it takes orders.
    port: u16,
    /// Where `gh` finds it.
    proxy: u16,
    tokens: [String; 2],
}

impl World {
    fn new() -> Self {
        let mut stage = Stage::with_tasks(0);
        let (port, proxy) = (free_port(), free_port());
        stage.write("world.yaml", WORLD);
        let program = parts().join(FOLDER).join("bin/myworld");
        // The stage ends it.
        stage.start(&format!(
            "PYTHONUNBUFFERED=1 exec {} serve --env ../world.yaml --port {port} --gateway {proxy} \
             --no-passthrough --ca-dir ../ca > ../world.log 2>&1",
            program.display()
        ));
        let log = stage.path("world.log");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        until("the double runs", || said().contains("Uvicorn running"));
        let tokens: Vec<String> = said()
            .lines()
            .filter_map(|line| line.trim().strip_prefix("export GITHUB_TOKEN="))
            .map(str::to_owned)
            .collect();
        let gateway = Gateway::to(port);
        stage.set("GITHUB_API_URL", &gateway.url());
        stage.set("GH_TOKEN", &tokens[0]);
        stage
            .sh("git remote set-url origin https://github.com/acme/demo.git")
            .ok();
        Self {
            stage,
            gateway,
            port,
            proxy,
            tokens: tokens.try_into().unwrap(),
        }
    }

    /// Runs GitHub's client as one of the two people.
    fn gh(&self, who: usize, args: &str) -> Ran {
        self.stage.sh(&format!(
            "HTTPS_PROXY=http://127.0.0.1:{} SSL_CERT_FILE=../ca/myworld-ca.pem GH_TOKEN={} \
             NO_COLOR=1 GH_NO_UPDATE_NOTIFIER=1 gh {args}",
            self.proxy, self.tokens[who]
        ))
    }

    /// What GitHub's client sees of a pull request.
    fn seen(&self, number: u64, fields: &str) -> Value {
        let ran = self.gh(0, &format!("pr view {number} -R acme/demo --json {fields}"));
        serde_json::from_str(&ran.ok().stdout).unwrap()
    }

    /// Asks our client.
    #[track_caller]
    fn ask(&self, question: &Value) -> Value {
        let ran = self.stage.feed("ask-forge", &format!("{question}\n")).ok();
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Where a branch is.
    fn head(&self, branch: &str) -> String {
        let path = format!("api repos/acme/demo/git/ref/heads/{branch} --jq .object.sha");
        self.gh(0, &path).ok().stdout.trim().to_owned()
    }

    /// What our client knows of a pull request.
    #[track_caller]
    fn pull(&self, number: u64, branch: &str) -> Value {
        self.ask(&json!({"pull": self.wanted(number, branch)}))
    }

    fn wanted(&self, number: u64, branch: &str) -> Value {
        json!({"number": number, "branch": branch, "base": "main", "head": self.head(branch)})
    }

    #[track_caller]
    fn open(&self, branch: &str) -> Value {
        self.ask(
            &json!({"open": {"branch": branch, "base": "main", "head": self.head(branch),
            "title": format!("Add {branch}"), "body": "as told", "labels": ["robot"]}}),
        )
    }

    #[track_caller]
    fn land(&self, number: u64, branch: &str) -> String {
        let mut landing = self.wanted(number, branch);
        let base = self.head("main");
        for name in ["base_head", "commit", "tree"] {
            landing[name] = json!(base);
        }
        landing["title"] = json!("Landed");
        let landed = self.ask(&json!({"land": landing}));
        landed.as_str().unwrap_or_default().to_owned()
    }

    /// Lets the check of a branch pass.
    fn pass(&self, branch: &str) {
        let head = self.head(branch);
        self.gh(
            1,
            &format!("api repos/acme/demo/statuses/{head} -f state=success -f context=ci"),
        )
        .ok();
    }

    /// What the next such request comes to.
    fn lose(&self, what: &str, how: &str) {
        self.stage
            .sh(&format!(
                "curl --silent --fail --noproxy '*' -X PUT -H 'content-type: application/json' \
                 -d '[{{\"tool\":\"{what}\",\"kind\":\"{how}\",\"times\":1}}]' \
                 http://127.0.0.1:{}/instances/forge-github/faults",
                self.port
            ))
            .ok();
    }
}

fn what_gh_opens_we_land() {
    let world = World::new();
    let create = "pr create -R acme/demo --head one --base main --title t --body b";
    world.gh(0, create).ok();
    let head = world.head("one");
    let found = world.ask(&json!({"find": {"branch": "one", "head": head}}));
    assert_eq!(
        (&found["number"], &found["state"], &found["head"]),
        (&json!(1), &json!("open"), &json!(head)),
        "{found}"
    );
    assert_eq!(world.open("one")["existed"]["number"], 1);
    world.pass("one");
    let pull = world.pull(1, "one");
    assert_eq!(pull["report"]["author"], "alice", "{pull}");
    assert_eq!(
        pull["report"]["checks"],
        json!([["ci", "Passed"]]),
        "{pull}"
    );
    assert_eq!(
        pull["report"]["policy"]["required"],
        json!(["ci"]),
        "{pull}"
    );
    let refused = world.land(1, "one");
    assert!(refused.contains("approving review"), "{refused}");
    world
        .gh(1, "pr review 1 -R acme/demo --approve --body fine")
        .ok();
    let pull = world.pull(1, "one");
    assert_eq!(
        pull["report"]["reviews"],
        json!([["bot", "Approved"]]),
        "{pull}"
    );
    assert_eq!(world.land(1, "one"), "Merged");
    let seen = world.seen(1, "state,mergeCommit,title");
    assert_eq!(seen["state"], "MERGED", "{seen}");
    let pull = world.pull(1, "one");
    assert_eq!(
        pull["state"],
        json!({"head": head, "commit": seen["mergeCommit"]["oid"]}),
        "{pull}"
    );
    world.gateway.assert_fair();
}

fn what_we_open_gh_lands() {
    let world = World::new();
    assert_eq!(world.open("one")["created"]["number"], 1);
    let seen = world.seen(
        1,
        "number,title,body,state,headRefName,baseRefName,labels,isDraft",
    );
    let wanted = json!(["Add one", "as told", "OPEN", "one", "main", "robot", false]);
    let read = json!([
        seen["title"],
        seen["body"],
        seen["state"],
        seen["headRefName"],
        seen["baseRefName"],
        seen["labels"][0]["name"],
        seen["isDraft"]
    ]);
    assert_eq!(read, wanted, "{seen}");
    let again = world.gh(
        0,
        "pr create -R acme/demo --head one --base main --title t --body b",
    );
    again.code(1).says("already exists");

    world
        .gh(1, "pr review 1 -R acme/demo --approve --body fine")
        .ok();
    world.pass("one");
    world.gh(0, "pr merge 1 -R acme/demo --squash").ok();
    let pull = world.pull(1, "one");
    assert_eq!(pull["state"]["head"], world.head("one"), "{pull}");
    assert_eq!(pull["state"]["commit"], world.head("main"), "{pull}");
    // It is merged with this very head: nothing is opened anew.
    assert_eq!(world.open("one")["existed"]["number"], 1);

    assert_eq!(world.open("two")["created"]["number"], 2);
    world.gh(0, "pr close 2 -R acme/demo").ok();
    assert_eq!(world.pull(2, "two")["state"], "closed");
    world.gateway.assert_fair();
}

fn answers_that_are_lost() {
    let world = World::new();
    world.lose("github.pulls.create", "timeout_after_commit");
    let opened = world.open("one");
    assert_eq!(opened["created"]["number"], 1, "{opened}");
    world.lose("github.pulls.create", "bad_gateway");
    let opened = world.open("two");
    assert_eq!(opened["created"]["number"], 2, "{opened}");

    world
        .gh(1, "pr review 1 -R acme/demo --approve --body fine")
        .ok();
    world.pass("one");
    world.lose("github.pulls.merge", "timeout_after_commit");
    let landed = world.land(1, "one");
    assert!(landed.starts_with("Unknown"), "{landed}");
    let head = world.head("one");
    assert_eq!(world.pull(1, "one")["state"]["head"], head);
    let merges = |one: &&super::spec::Exchange| one.verb == "PUT";
    assert_eq!(world.gateway.log().iter().filter(merges).count(), 1);
    let all =
        "pr list -R acme/demo --state all --json number,state --jq '.[]|[.number,.state]|@tsv'";
    assert_eq!(world.gh(0, all).ok().stdout, "2\tOPEN\n1\tMERGED\n");
    world.gateway.assert_fair();
}

/// A test that needs the double and `gh`.
fn test(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    let name = format!("github: myworld: {name}");
    let program = format!("../{FOLDER}/bin/myworld");
    let there =
        |part: &str| std::env::split_paths(&stage::path()).any(|dir| dir.join(part).is_file());
    let missing = if there("gh") { program.as_str() } else { "gh" };
    stage::test_with(missing, "tests/parts.sh", &name, run)
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "what gh opens, our client finds and lands",
            what_gh_opens_we_land,
        ),
        test(
            "what our client opens, gh sees and lands",
            what_we_open_gh_lands,
        ),
        test(
            "it loses answers, and nothing is done twice",
            answers_that_are_lost,
        ),
    ]
}
