//! Who answers a request: what was scripted, the gateway, REST or GraphQL.

use serde_json::{Value, json};

use super::TOKEN;
use super::request::Request;
use super::rest::Said;
use super::world::{Scripted, World};

impl World {
    pub(super) fn answer(&mut self, request: &Request) -> Said {
        let fits = |one: &&mut Scripted| {
            one.times > 0 && one.verb == request.verb && request.target.contains(one.part)
        };
        if let Some(one) = self.scripted.iter_mut().find(fits) {
            one.times -= 1;
            return (one.status, one.head.clone(), one.body.clone());
        }
        if request.value("authorization:") != Some(format!("Bearer {TOKEN}")) {
            let body = json!({"message": "Bad credentials",
                "documentation_url": "https://docs.github.com/rest"});
            return (401, Vec::new(), body);
        }
        if let Some(rest) = request.path().strip_prefix("/repositories/1") {
            let rest = rest.trim_start_matches('/').to_owned();
            return self.of_repository(request, &rest);
        }
        match request.path() {
            "/graphql" | "/api/graphql" => {
                let asked = request.json();
                match self.gives_up(&asked) {
                    true => (502, Vec::new(), Value::from("<html>oops</html>")),
                    false => (200, Vec::new(), self.graph(&asked)),
                }
            }
            _ => self.rest(request),
        }
    }
}
