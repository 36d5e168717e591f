//! The REST API, by GitHub's `OpenAPI` description as `trim.py` left it.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::{Draft, Registry, Validator};
use serde_json::{Value, json};

use super::{Exchange, FOLDER, decoded, json};
use crate::stage::parts;

/// Statuses that any request may get, whatever is said of it: redirects, nothing new, who are you,
/// limits, and a server's own trouble.
const ANY: [u16; 14] = [
    301, 302, 304, 307, 308, 401, 403, 404, 422, 429, 500, 502, 503, 504,
];

struct Description {
    document: Value,
    registry: Registry<'static>,
    /// By the place of their schema.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
    let path = parts().join(FOLDER).join("rest.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    let document: Value = serde_json::from_str(&text).unwrap();
    let resource = Draft::Draft202012.create_resource(document.clone());
    let registry = Registry::new()
        .add(HERE, resource)
        .unwrap()
        .prepare()
        .unwrap();
    Description {
        document,
        registry,
        validators: Mutex::default(),
    }
});

/// What the description is known as to the validators; nothing is fetched.
const HERE: &str = "https://description.invalid/rest";

/// What may be asked: the place of its description, and the values of its path.
struct Operation<'a> {
    pointer: String,
    told: &'a Value,
    path: Vec<(&'a str, String)>,
}

pub(super) fn violations(exchange: &Exchange, target: &str) -> Vec<String> {
    if !target
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return vec!["it is not encoded".to_owned()];
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let operation = match DESCRIPTION.find(&exchange.verb, path) {
        Ok(operation) => operation,
        Err(why) => return vec![why],
    };
    let mut found = DESCRIPTION.path(&operation);
    found.extend(DESCRIPTION.query(&operation, query));
    found.extend(DESCRIPTION.body(&operation, &exchange.body));
    if let Some((status, answer)) = &exchange.answer {
        found.extend(DESCRIPTION.answer(&operation, *status, answer));
    }
    found
}

impl Description {
    /// The operation of a path. One that is written out is meant before one with a name in its place.
    fn find<'a>(&'a self, verb: &str, path: &str) -> Result<Operation<'a>, String> {
        let fits = |(template, told): (&'a String, &'a Value)| {
            Some((template, told, fitted(template, path)?))
        };
        let paths = self.document["paths"].as_object().unwrap();
        let fitting = paths.iter().filter_map(fits);
        let best = fitting.min_by_key(|(_, _, values)| values.len());
        let Some((template, verbs, path)) = best else {
            return Err("no such path".to_owned());
        };
        let told = verbs.get(verb).ok_or("no such verb of this path")?;
        let step = template.replace('~', "~0").replace('/', "~1");
        let step = step.replace('{', "%7B").replace('}', "%7D");
        Ok(Operation {
            pointer: format!("/paths/{step}/{verb}"),
            told,
            path,
        })
    }

    fn path(&self, operation: &Operation) -> Vec<String> {
        let check = |(name, value): &(&str, String)| {
            let pointer = format!("{}/path/{name}/schema", operation.pointer);
            self.check_text(&pointer, &format!("the path's {name}"), value)
        };
        operation.path.iter().flat_map(check).collect()
    }

    fn query(&self, operation: &Operation, query: &str) -> Vec<String> {
        let known = operation.told["query"].as_object().unwrap();
        let mut found = Vec::new();
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(value) = decoded(&value.replace('+', " ")) else {
                found.push(format!("the query's {name} is not encoded"));
                continue;
            };
            if seen.contains(&name) {
                found.push(format!("the query's {name} is given twice"));
            } else if known.contains_key(name) {
                let pointer = format!("{}/query/{name}/schema", operation.pointer);
                found.extend(self.check_text(&pointer, &format!("the query's {name}"), &value));
            } else {
                found.push(format!("the query's {name} is unknown"));
            }
            seen.push(name);
        }
        let is_missing = |(name, told): &(&String, &Value)| {
            told["required"] == true && !seen.contains(&name.as_str())
        };
        let missing = known.iter().filter(is_missing);
        found.extend(missing.map(|(name, _)| format!("the query's {name} is missing")));
        found
    }

    fn body(&self, operation: &Operation, body: &str) -> Vec<String> {
        let told = &operation.told["body"];
        match json(body, "the body") {
            Err(why) => vec![why],
            Ok(Value::Null) if told["required"] == true => vec!["the body is missing".to_owned()],
            Ok(Value::Null) => Vec::new(),
            Ok(_) if told["schema"].is_null() => vec!["it takes no body".to_owned()],
            Ok(body) => self.check(
                &format!("{}/body/schema", operation.pointer),
                "the body",
                &body,
            ),
        }
    }

    fn answer(&self, operation: &Operation, status: u16, answer: &str) -> Vec<String> {
        let what = format!("the answer {status}");
        let Some(told) = operation.told["answers"].get(status.to_string()) else {
            return match ANY.contains(&status) {
                true => Vec::new(),
                false => vec![format!("{what} is not described")],
            };
        };
        let pointer = format!("{}/answers/{status}", operation.pointer);
        match (json(answer, &what), told) {
            (Err(why), _) => vec![why],
            (Ok(Value::Null), Value::Null) => Vec::new(),
            (Ok(_), Value::Null) => vec![format!("{what} has a body")],
            (Ok(answer), _) => self.check(&pointer, &what, &answer),
        }
    }

    /// Checks what is written as text and may mean a number or a truth.
    fn check_text(&self, pointer: &str, what: &str, text: &str) -> Vec<String> {
        let mut meant = vec![Value::from(text)];
        meant.extend(text.parse::<i64>().map(Value::from));
        meant.extend(text.parse::<bool>().map(Value::from));
        let mut found = Vec::new();
        for value in meant {
            found = self.check(pointer, what, &value);
            if found.is_empty() {
                break;
            }
        }
        found
    }

    fn check(&self, pointer: &str, what: &str, value: &Value) -> Vec<String> {
        let validator = self.validator(pointer);
        let say = |err: jsonschema::ValidationError| {
            let why: String = err.to_string().chars().take(300).collect();
            format!("{what}{}: {why}", err.instance_path())
        };
        validator.iter_errors(value).map(say).collect()
    }

    fn validator(&self, pointer: &str) -> Arc<Validator> {
        let mut known = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let validator = known.entry(pointer.to_owned()).or_insert_with(|| {
            let options = jsonschema::options().with_draft(Draft::Draft202012);
            let schema = json!({"$ref": format!("{HERE}#{pointer}")});
            Arc::new(
                options
                    .with_registry(&self.registry)
                    .build(&schema)
                    .unwrap(),
            )
        });
        Arc::clone(validator)
    }
}

/// The values in a path, if it is one of this template. A slash in a value has to be encoded.
fn fitted<'a>(template: &'a str, path: &str) -> Option<Vec<(&'a str, String)>> {
    let (wanted, given) = (template.split('/'), path.split('/'));
    if wanted.clone().count() != given.clone().count() {
        return None;
    }
    let mut values = Vec::new();
    for (wanted, given) in wanted.zip(given) {
        match wanted
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) => {
                let value = decoded(given).filter(|value| !matches!(&**value, "" | "." | ".."))?;
                values.push((name, value));
            }
            None if wanted == given => {}
            None => return None,
        }
    }
    Some(values)
}
