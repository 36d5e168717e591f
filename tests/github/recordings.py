#!/usr/bin/env python3
"""Makes one JSON line of each exchange with GitHub that PyGithub has recorded: recordings.py IN OUT.

A recording is ten lines: scheme, verb, host, port, target, head and body of the request, status,
head (a list of pairs, as Python prints it) and body of the answer; then an empty one.
"""

import ast
import json
import pathlib
import sys


def exchanges(path):
    lines = path.read_bytes().decode().split("\n")
    while len(lines) >= 10:
        scheme, verb, host, _, target, _, _, status, head, body = lines[:10]
        lines = lines[11:]
        # Files that were downloaded have lines of their own, which end a recording.
        if scheme not in ("http", "https") or not status.isdigit():
            return
        yield {
            "from": path.stem,
            "verb": verb,
            "host": host,
            "target": target,
            "status": int(status),
            "head": [[str(name), str(value)] for name, value in ast.literal_eval(head)],
            "body": body,
        }


def main():
    _, source, target = sys.argv
    with open(target, "w", encoding="utf-8") as file:
        for path in sorted(pathlib.Path(source).glob("*.txt")):
            for one in exchanges(path):
                file.write(json.dumps(one) + "\n")


main()
