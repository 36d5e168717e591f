//! What the judges catch, and what they let pass.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{Exchange, manners, test, violations};

const PULLS: &str = "/repos/acme/demo/pulls";

fn asked(verb: &str, target: &str, body: &Value) -> Exchange {
    Exchange {
        verb: verb.to_owned(),
        target: target.to_owned(),
        body: match body {
            Value::Null => String::new(),
            body => body.to_string(),
        },
        ..Exchange::default()
    }
}

fn answered(verb: &str, target: &str, status: u16, answer: &Value) -> Exchange {
    Exchange {
        answer: Some((status, answer.to_string())),
        ..asked(verb, target, &Value::Null)
    }
}

#[track_caller]
fn assert_passes(exchange: &Exchange) {
    assert_eq!(violations(exchange), Vec::<String>::new(), "{exchange:?}");
}

#[track_caller]
fn assert_caught(exchange: &Exchange, words: &str) {
    let found = violations(exchange);
    assert!(
        found.iter().any(|one| one.contains(words)),
        "'{words}' is not among {found:#?} of {exchange:?}"
    );
}

fn requests() {
    let none = &Value::Null;
    for (verb, target, body) in [
        (
            "GET",
            "/repos/acme/demo/pulls?state=open&head=acme%3Aa%2Fb&base=main&per_page=100&page=2",
            json!(null),
        ),
        (
            "POST",
            PULLS,
            json!({"title": "t", "head": "a/b", "base": "main", "body": "", "draft": true}),
        ),
        (
            "PUT",
            "/repos/acme/demo/pulls/7/merge",
            json!({"sha": "a1", "merge_method": "squash"}),
        ),
        ("PUT", "/repos/acme/demo/pulls/7/merge", json!(null)),
        (
            "PUT",
            "/repos/acme/demo/pulls/7/update-branch",
            json!({"expected_head_sha": "a1"}),
        ),
        (
            "DELETE",
            "/repos/acme/demo/git/refs/heads%2Fa%2Fb",
            json!(null),
        ),
        (
            "GET",
            "/repos/acme/demo/commits/a1/check-runs?filter=latest&per_page=100",
            json!(null),
        ),
        (
            "GET",
            "/api/v3/repos/acme/demo/branches/feat%2Fx%231/protection",
            json!(null),
        ),
        (
            "POST",
            "/repos/acme/demo/issues/7/labels",
            json!({"labels": ["a"]}),
        ),
    ] {
        assert_passes(&asked(verb, target, &body));
    }
    let merge = "/repos/acme/demo/pulls/7/merge";
    let reviews = "/repos/acme/demo/pulls/7/reviews";
    assert_caught(
        &asked("POST", PULLS, &json!({"title": "t", "base": "main"})),
        "\"head\" is a required property",
    );
    assert_caught(&asked("POST", PULLS, none), "the body is missing");
    assert_caught(
        &asked("PUT", merge, &json!({"merge_method": "bogus"})),
        "/merge_method: \"bogus\"",
    );
    assert_caught(&asked("PUT", merge, &json!({"sha": null})), "/sha: null");
    assert_caught(
        &asked("PUT", merge, &json!({"Do": "squash"})),
        "('Do' was unexpected)",
    );
    assert_caught(
        &asked("POST", reviews, &json!({"event": "approve"})),
        "/event: \"approve\"",
    );
    assert_caught(
        &asked("GET", &format!("{PULLS}?state=bogus"), none),
        "the query's state: \"bogus\"",
    );
    assert_caught(
        &asked("GET", &format!("{PULLS}?limit=50"), none),
        "the query's limit is unknown",
    );
    assert_caught(
        &asked("GET", &format!("{PULLS}?page=1&page=2"), none),
        "given twice",
    );
    assert_caught(
        &asked("GET", &format!("{PULLS}?page=one"), none),
        "the query's page: ",
    );
    assert_caught(
        &asked("GET", &format!("{PULLS}?head=a%zz"), none),
        "not encoded",
    );
    assert_caught(
        &asked("GET", "/repos/acme/demo/pulls/one", none),
        "the path's pull_number: \"one\"",
    );
    assert_caught(
        &asked("GET", "/repos/acme/demo/branches/feat/x", none),
        "no such path",
    );
    assert_caught(
        &asked("GET", "/repos/acme/demo/branches/feat#x", none),
        "it is not encoded",
    );
    assert_caught(
        &asked("GET", "/repos/acme/demo/branches/..", none),
        "no such path",
    );
    assert_caught(
        &asked("DELETE", "/repos/acme/demo/git/refs/heads/x", none),
        "no such path",
    );
    assert_caught(
        &asked("GET", "/repos/acme/demo/pullz", none),
        "no such path",
    );
    assert_caught(&asked("POST", merge, &json!({})), "no such verb");
    assert_caught(&asked("GET", merge, &json!({})), "it takes no body");
}

fn answers() {
    let merge = "/repos/acme/demo/pulls/7/merge";
    let one = "/repos/acme/demo/pulls/7";
    let runs = "/repos/acme/demo/commits/a1/check-runs";
    assert_passes(&answered(
        "PUT",
        merge,
        200,
        &json!({"sha": "a1", "merged": true, "message": "done"}),
    ));
    assert_passes(&answered(
        "PUT",
        merge,
        409,
        &json!({"message": "Head branch was modified."}),
    ));
    assert_passes(&answered(
        "GET",
        one,
        200,
        &json!({"number": 7, "state": "open", "mergeable": null}),
    ));
    assert_passes(&answered(
        "GET",
        one,
        403,
        &json!({"message": "rate limit"}),
    ));
    assert_passes(&answered(
        "GET",
        runs,
        200,
        &json!({"total_count": 1, "check_runs": [
        {"name": "ci", "status": "completed", "conclusion": "success"}]}),
    ));
    let empty = Exchange {
        answer: Some((204, String::new())),
        ..asked(
            "DELETE",
            "/repos/acme/demo/git/refs/heads%2Fx",
            &Value::Null,
        )
    };
    assert_passes(&empty);

    assert_caught(
        &answered("PUT", merge, 201, &json!({})),
        "the answer 201 is not described",
    );
    assert_caught(
        &answered("PUT", merge, 200, &json!({"merged": "yes"})),
        "/merged: \"yes\"",
    );
    assert_caught(
        &answered("GET", one, 200, &json!({"mergable": true})),
        "'mergable' was unexpected",
    );
    assert_caught(
        &answered("GET", one, 200, &json!({"state": "merged"})),
        "/state: \"merged\"",
    );
    assert_caught(
        &answered("GET", one, 200, &json!({"head": {"sha": 7}})),
        "/head/sha: 7",
    );
    assert_caught(&answered("GET", one, 200, &json!([])), "is not of type");
    assert_caught(
        &answered(
            "GET",
            runs,
            200,
            &json!({"check_runs": [{"conclusion": "passed"}]}),
        ),
        "/check_runs/0/conclusion",
    );
    let page = Exchange {
        answer: Some((200, "<html>".to_owned())),
        ..asked("GET", one, &Value::Null)
    };
    assert_caught(&page, "is no JSON");
}

const QUERY: &str = "query($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: 7) { id mergeStateStatus ...Commits }
  }
}
fragment Commits on PullRequest {
  commits(last: 1) { nodes { commit { statusCheckRollup { contexts(first: 9) { nodes {
    __typename ... on CheckRun { name conclusion } ... on StatusContext { context state }
  } } } } } }
}";

fn graphql(query: &str, variables: &Value, answer: &Value) -> Exchange {
    Exchange {
        answer: Some((200, answer.to_string())),
        ..asked(
            "POST",
            "/graphql",
            &json!({"query": query, "variables": variables}),
        )
    }
}

fn queries() {
    let given = &json!({"owner": "acme", "name": "demo"});
    let with = |pull: &Value| json!({"data": {"repository": {"pullRequest": pull}}});
    let contexts = |nodes: &Value| {
        let rollup = json!({"contexts": {"nodes": nodes}});
        let commits = json!({"nodes": [{"commit": {"statusCheckRollup": rollup}}]});
        with(&json!({"id": "PR_1", "mergeStateStatus": "CLEAN", "commits": commits}))
    };
    let fine = contexts(&json!([
        {"__typename": "CheckRun", "name": "ci", "conclusion": null},
        {"__typename": "StatusContext", "context": "lint", "state": "PENDING"},
    ]));
    assert_passes(&graphql(QUERY, given, &fine));
    assert_passes(&graphql(QUERY, given, &with(&Value::Null)));
    let refused = json!({"data": null, "errors": [{"message": "no"}]});
    assert_passes(&graphql(QUERY, given, &refused));

    let caught = |query: &str, given: &Value, answer: &Value, words: &str| {
        assert_caught(&graphql(query, given, answer), words);
    };
    caught(&QUERY.replace("id ", "ident "), given, &fine, "ident");
    caught(&QUERY.replace("$name)", "$title)"), given, &fine, "title");
    caught(&QUERY.replace("} }\n}", "}"), given, &fine, "syntax error");
    caught(QUERY, &json!({"owner": "acme"}), &fine, "name");
    caught(QUERY, &json!({"owner": "acme", "name": 7}), &fine, "name");
    caught(
        QUERY,
        &json!({"owner": "acme", "name": "demo", "more": 1}),
        &fine,
        "nothing asks for $more",
    );
    caught(QUERY, given, &json!({}), "neither data nor errors");
    caught(
        QUERY,
        given,
        &json!({"data": {"repo": {}}}),
        "data.repo: nobody asked",
    );
    caught(
        QUERY,
        given,
        &with(&json!({"id": "PR_1"})),
        "pullRequest.commits: no answer",
    );
    caught(
        QUERY,
        given,
        &with(&json!({"id": null})),
        "pullRequest.id: null",
    );
    caught(
        QUERY,
        given,
        &with(&json!({"mergeStateStatus": "FINE"})),
        "\"FINE\" is no MergeStateStatus",
    );
    let wrong = contexts(&json!([{"__typename": "CheckRun", "context": "ci"}]));
    caught(QUERY, given, &wrong, "context: nobody asked");
    caught(QUERY, given, &wrong, "name: no answer");
    assert_caught(&asked("GET", "/graphql", &Value::Null), "asked by POST");
}

fn headers() {
    let mut exchange = asked("GET", PULLS, &Value::Null);
    assert_eq!(manners(&exchange).len(), 4);
    exchange.head = [
        "User-Agent: x",
        "authorization: Bearer t",
        "X-GitHub-Api-Version: 2022-11-28",
        "accept: application/vnd.github+json",
    ]
    .map(str::to_owned)
    .to_vec();
    assert_eq!(manners(&exchange), Vec::<String>::new());
    exchange.head[1] = String::from("Authorization: token t");
    assert_eq!(
        manners(&exchange),
        ["the header authorization is 'token t'"]
    );
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test(
            "its description catches requests that it does not allow",
            requests,
        ),
        test(
            "its description catches answers that it would not give",
            answers,
        ),
        test("its schema catches queries and their answers", queries),
        test("a client says who and which version it is", headers),
    ]
}
