#!/usr/bin/env python3
"""Makes a small JSON Schema of GitHub's OpenAPI description: trim.py IN OUT.

OUT has, by path template and verb, the parameters, the body and the answers by status of what a
client of pull requests may call. Two things are stricter than the description says, as a typing
error would else go unseen: a body and an answer have no field that it does not name. One is laxer:
an answer may leave fields out, so that a small fake needs to say only what it means.
"""

import json
import sys

REPOSITORY = "/repos/{owner}/{repo}"
PATHS = ["/", "/user", "/rate_limit", "/meta", REPOSITORY] + [
    f"{REPOSITORY}/{rest}"
    for rest in """
    pulls
    pulls/{pull_number}
    pulls/{pull_number}/merge
    pulls/{pull_number}/update-branch
    pulls/{pull_number}/reviews
    pulls/{pull_number}/reviews/{review_id}
    pulls/{pull_number}/reviews/{review_id}/dismissals
    pulls/{pull_number}/requested_reviewers
    pulls/{pull_number}/commits
    pulls/{pull_number}/files
    actions/runs
    actions/runs/{run_id}/jobs
    commits/{ref}
    commits/{ref}/status
    commits/{ref}/statuses
    commits/{ref}/check-runs
    commits/{ref}/check-suites
    commits/{commit_sha}/pulls
    check-runs
    check-runs/{check_run_id}
    statuses/{sha}
    branches/{branch}
    branches/{branch}/protection
    branches/{branch}/protection/required_status_checks
    rules/branches/{branch}
    rulesets
    git/ref/{ref}
    git/refs
    git/refs/{ref}
    merges
    compare/{basehead}
    contents/{path}
    issues/{issue_number}
    issues/{issue_number}/comments
    issues/{issue_number}/labels
    """.split()
]
# What says nothing about what is valid. (`discriminator` and `format` are not checked.)
TALK = {"description", "example", "examples", "externalDocs", "title", "deprecated", "format", "discriminator", "xml", "readOnly", "writeOnly", "summary", "tags", "operationId"}
VERBS = ("get", "put", "post", "delete", "patch", "head")


class Description:
    def __init__(self, whole):
        self.whole = whole
        self.schemas = {}

    def follow(self, part):
        """What a reference outside of schemas means."""
        while "$ref" in part:
            found = self.whole
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = found
        return part

    def schema(self, part, lax):
        """An OpenAPI 3.0 schema as JSON Schema; `lax`: fields may be missing."""
        if isinstance(part, list):
            return [self.schema(one, lax) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return {"$ref": self.named(part["$ref"], lax)}
        made = {}
        for key, value in part.items():
            if key in TALK or key.startswith("x-") or key in ("nullable", "default"):
                continue
            if key == "required" and lax:
                continue
            if key in ("properties", "patternProperties"):
                made[key] = {name: self.schema(one, lax) for name, one in value.items()}
            elif key in ("enum", "const", "required"):
                made[key] = value
            else:
                made[key] = self.schema(value, lax)
        if "allOf" in made:
            self.merge(made)
        if "properties" in made and not {"anyOf", "oneOf", "allOf"} & made.keys():
            made.setdefault("additionalProperties", False)
        return self.nullable(made) if part.get("nullable") else made

    @staticmethod
    def nullable(made):
        """The schema of what it says, or null."""
        if not isinstance(made.get("type"), str) or {"anyOf", "oneOf"} & made.keys():
            return {"anyOf": [{"type": "null"}, made]}
        made["type"] = [made["type"], "null"]
        if "enum" in made:
            made["enum"] = made["enum"] + [None]
        return made

    def merge(self, made):
        """Turns `allOf` of objects into one object, which alone can be closed."""
        properties = made.setdefault("properties", {})
        for one in made.pop("allOf"):
            if "$ref" in one:
                one = self.schemas[one["$ref"].rsplit("/", 1)[1]]
            assert one and not one.keys() - {"type", "properties", "required", "additionalProperties"}, one
            properties.update(one.get("properties", {}))
            made["required"] = made.get("required", []) + one.get("required", [])
        made["type"] = "object"

    def named(self, ref, lax):
        name = ref.rsplit("/", 1)[1] + ("" if lax else "-whole")
        if name not in self.schemas:
            self.schemas[name] = {}  # it may name itself
            self.schemas[name].update(self.schema(self.follow({"$ref": ref}), lax))
        return f"#/$defs/{name}"

    def body(self, part, lax):
        """The schema of a JSON body; `None`: there is none."""
        content = self.follow(part).get("content", {})
        for kind, told in content.items():
            if kind.endswith("json"):
                return self.schema(told.get("schema", {}), lax)
        return None

    def operation(self, shared, part):
        parameters = {"path": {}, "query": {}}
        for one in map(self.follow, shared + part.get("parameters", [])):
            if one["in"] in parameters:
                parameters[one["in"]][one["name"]] = {
                    "required": one.get("required", False),
                    "schema": self.schema(self.follow(one["schema"]), False),
                }
        made = dict(parameters)
        if "requestBody" in part:
            told = self.follow(part["requestBody"])
            made["body"] = {"required": told.get("required", False), "schema": self.body(told, False)}
        made["answers"] = {status: self.body(told, True) for status, told in part["responses"].items()}
        return made


def main():
    _, source, target = sys.argv
    with open(source, encoding="utf-8") as file:
        description = Description(json.load(file))
    paths = {}
    for path in PATHS:
        told = description.whole["paths"][path]
        shared = told.get("parameters", [])
        paths[path] = {verb.upper(): description.operation(shared, told[verb]) for verb in VERBS if verb in told}
    with open(target, "w", encoding="utf-8") as file:
        json.dump({"paths": paths, "$defs": description.schemas}, file, separators=(",", ":"))


main()
