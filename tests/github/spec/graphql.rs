//! The GraphQL API, by its schema.

use std::fs;
use std::sync::LazyLock;

use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node, Schema};
use serde_json::{Map, Value};

use super::{Exchange, FOLDER, json};
use crate::stage::parts;

static SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    let path = parts().join(FOLDER).join("schema.graphql");
    let text = fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    // It defines two fields twice, which is all that may be wrong with it.
    let schema = Schema::parse(text, "schema.graphql").unwrap_or_else(|twice| twice.partial);
    schema.validate().unwrap()
});

pub(super) fn violations(exchange: &Exchange) -> Vec<String> {
    if exchange.verb != "POST" {
        return vec!["GraphQL is asked by POST".to_owned()];
    }
    let body = match json(&exchange.body, "the body") {
        Ok(Value::Object(body)) => body,
        Ok(_) => return vec!["the body is no object".to_owned()],
        Err(why) => return vec![why],
    };
    let known = ["query", "variables", "operationName"];
    let unknown = body.keys().filter(|key| !known.contains(&key.as_str()));
    let mut found: Vec<String> = unknown
        .map(|key| format!("the body's {key} is unknown"))
        .collect();
    let Some(text) = body.get("query").and_then(Value::as_str) else {
        return vec!["the body has no query".to_owned()];
    };
    let document = match ExecutableDocument::parse_and_validate(&SCHEMA, text, "query") {
        Ok(document) => document,
        Err(why) => return vec![format!("{}\n{text}", why.errors)],
    };
    let named = body.get("operationName").and_then(Value::as_str);
    let operation = match document.operations.get(named) {
        Ok(operation) => operation,
        Err(why) => return vec![why.message().to_string()],
    };
    found.extend(variables(operation, body.get("variables")));
    if let Some((200, answer)) = &exchange.answer {
        found.extend(answered(&document, operation, answer));
    }
    found
}

fn variables(operation: &Operation, given: Option<&Value>) -> Vec<String> {
    let given = match given {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(given)) => given.clone(),
        Some(_) => return vec!["the variables are no object".to_owned()],
    };
    let is_asked = |name: &String| {
        operation
            .variables
            .iter()
            .any(|one| one.name == name.as_str())
    };
    let unasked = given.keys().filter(|name| !is_asked(name));
    let mut found: Vec<String> = unasked
        .map(|name| format!("nothing asks for ${name}"))
        .collect();
    let given: JsonMap = serde_json::from_value(Value::Object(given)).unwrap();
    if let Err(why) = coerce_variable_values(&SCHEMA, operation, &given) {
        found.push(why.message().to_string());
    }
    found
}

fn answered(document: &ExecutableDocument, operation: &Operation, answer: &str) -> Vec<String> {
    let answer = match json(answer, "the answer") {
        Ok(Value::Object(answer)) => answer,
        Ok(_) => return vec!["the answer is no object".to_owned()],
        Err(why) => return vec![why],
    };
    let known = ["data", "errors", "extensions"];
    let unknown = answer.keys().filter(|key| !known.contains(&key.as_str()));
    let mut look = Look {
        document,
        found: unknown
            .map(|key| format!("the answer's {key} is unknown"))
            .collect(),
    };
    match answer.get("data") {
        Some(Value::Object(data)) => look.object(&[&operation.selection_set], data, "data"),
        _ if answer.contains_key("errors") => {}
        _ => look
            .found
            .push("the answer has neither data nor errors".to_owned()),
    }
    look.found
}

/// An answer that is held against what was asked.
struct Look<'a> {
    document: &'a ExecutableDocument,
    found: Vec<String>,
}

impl<'a> Look<'a> {
    fn object(&mut self, asked: &[&'a SelectionSet], data: &Map<String, Value>, place: &str) {
        let kind = data.get("__typename").and_then(Value::as_str);
        let mut fields = Vec::new();
        for selections in asked {
            self.fields(selections, kind, true, &mut fields);
        }
        for (key, value) in data {
            let meant: Vec<&Field> = fields
                .iter()
                .filter(|(field, _)| field.response_key() == key.as_str())
                .map(|(field, _)| *field)
                .collect();
            let place = format!("{place}.{key}");
            match meant.first() {
                Some(first) => self.value(first.ty(), &meant, value, &place),
                None => self.found.push(format!("{place}: nobody asked")),
            }
        }
        for (field, is_certain) in fields {
            let key = field.response_key();
            if is_certain && !data.contains_key(key.as_str()) {
                self.found.push(format!("{place}.{key}: no answer"));
            }
        }
    }

    /// The fields that are asked of an object of this kind, and whether they have to be there.
    fn fields(
        &self,
        selections: &'a SelectionSet,
        kind: Option<&str>,
        is_certain: bool,
        into: &mut Vec<(&'a Field, bool)>,
    ) {
        for selection in &selections.selections {
            let (fits, inner) = match selection {
                Selection::Field(field) => {
                    into.push((field.as_ref(), is_certain));
                    continue;
                }
                Selection::InlineFragment(fragment) => {
                    let wanted = fragment.type_condition.as_deref();
                    (wanted.unwrap_or(&selections.ty), &fragment.selection_set)
                }
                Selection::FragmentSpread(spread) => {
                    let fragment: &'a Node<_> = &self.document.fragments[&spread.fragment_name];
                    (fragment.type_condition().as_str(), &fragment.selection_set)
                }
            };
            let is = |kind| kind == fits || SCHEMA.is_subtype(fits, kind);
            // Without a word on its kind, it may be any.
            match kind {
                Some(kind) if !is(kind) => {}
                Some(_) => self.fields(inner, kind, is_certain, into),
                None => self.fields(inner, kind, is_certain && is(&selections.ty), into),
            }
        }
    }

    fn value(&mut self, ty: &Type, asked: &[&'a Field], value: &Value, place: &str) {
        if value.is_null() {
            if ty.is_non_null() {
                self.found.push(format!("{place}: null, which it never is"));
            }
            return;
        }
        if ty.is_list() {
            let Some(items) = value.as_array() else {
                self.found.push(format!("{place}: no list"));
                return;
            };
            for (at, item) in items.iter().enumerate() {
                self.value(ty.item_type(), asked, item, &format!("{place}.{at}"));
            }
            return;
        }
        let name = ty.inner_named_type();
        let fits = match (SCHEMA.types.get(name), value) {
            (Some(ExtendedType::Enum(one)), Value::String(word)) => {
                one.values.contains_key(word.as_str())
            }
            (Some(ExtendedType::Scalar(_)), value) => match name.as_str() {
                "Int" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
                "Float" => value.is_number(),
                "Boolean" => value.is_boolean(),
                // Those of GitHub's own are texts, but for one that is a large number.
                "BigInt" => value.is_string() || value.is_i64(),
                _ => value.is_string(),
            },
            (Some(ExtendedType::Enum(_)) | None, _) => false,
            (Some(_), Value::Object(data)) => {
                let asked: Vec<_> = asked.iter().map(|field| &field.selection_set).collect();
                self.object(&asked, data, place);
                true
            }
            (Some(_), _) => false,
        };
        if !fits {
            self.found.push(format!("{place}: {value} is no {name}"));
        }
    }
}
