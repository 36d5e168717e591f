#!/usr/bin/env python3
"""A model that does as it is told: real coding agents run against it without a model or a network.

    model.py MODE COMMAND…      serves on a free port of 127.0.0.1 while COMMAND runs, whose exit status it takes over

COMMAND finds the agents configured for it: by files in $HOME, and by variables that BEADLINE_ENV names. Each request is
a JSON line in $HOME/requests. Every line `stub: SHELL COMMAND` of a prompt becomes one call of the agent's shell tool, one
a turn; then the answer is "Done.". Each answer claims 1200 tokens in and 34 out.

MODE is how the model behaves: ok, STATUS, STATUS+SECONDS (with that retry-after), hang (no answer), cut (ends in the
middle of a stream), refused (nobody listens). The file $HOME/mode changes it while it runs.
"""
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

SHELLS = ("exec_command", "shell_command", "shell", "run_shell_command", "bash")
TOKENS_IN, TOKENS_OUT = 1200, 34
HOME = pathlib.Path(os.environ["HOME"])


def text_of(content):
    """The text of a message: a string, or parts with a `text`."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or "" for part in content or [])


class Request:
    """What an agent asks for, whatever its protocol: prompt, tools with their schemas, results of tools so far."""

    def __init__(self, path, body):
        self.model = body.get("model") or re.sub(r".*/models/|:.*", "", path)
        self.stream = body.get("stream", "streamGenerateContent" in path)
        if "enerateContent" in path:
            self.protocol = gemini
            parts = [(turn.get("role"), part) for turn in body["contents"] for part in turn["parts"]]
            declared = [f for tool in body.get("tools") or [] for f in tool.get("functionDeclarations", [])]
            self.tools = {f["name"]: f.get("parametersJsonSchema") or f.get("parameters") or {} for f in declared}
            self.prompt = "\n".join(part.get("text", "") for role, part in parts if role == "user")
            self.results = sum("functionResponse" in part for _, part in parts)
        elif path.endswith("/responses"):
            self.protocol = responses
            items = body["input"]
            tools = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
            self.tools = {tool["name"]: tool.get("parameters") or {} for tool in tools}
            self.prompt = "\n".join(text_of(item["content"]) for item in items if item.get("role") == "user")
            self.results = sum(item.get("type") == "function_call_output" for item in items)
        else:
            self.protocol = chat
            functions = [tool["function"] for tool in body.get("tools") or []]
            self.tools = {f["name"]: f.get("parameters") or {} for f in functions}
            messages = body["messages"]
            self.prompt = "\n".join(text_of(m["content"]) for m in messages if m["role"] == "user")
            self.results = sum(m["role"] == "tool" for m in messages)

    def answer(self):
        """The next command as (tool, arguments), or (None, "Done.")."""
        commands = re.findall(r"^stub: (.+)$", self.prompt, re.M)
        shell = next((name for name in SHELLS if name in self.tools), None)
        if "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT" in self.prompt:
            # How mini-swe-agent wants to hear that the work is done.
            commands.append("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT")
        if shell is None or self.results >= len(commands):
            return None, "Done."
        schema = self.tools[shell].get("properties", {})
        arguments = {"cmd" if "cmd" in schema else "command": commands[self.results]}
        if "description" in schema:
            arguments["description"] = "as told"
        if "is_background" in schema:
            arguments["is_background"] = False
        return shell, arguments


# Each protocol: (request, tool, said, number) -> events of the stream, each (name, JSON); or one object.


def chat(request, tool, said, number):
    head = {"id": f"c{number}", "created": int(time.time()), "model": request.model}
    usage = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}
    message = {"role": "assistant", "content": None if tool else said}
    if tool:
        function = {"name": tool, "arguments": json.dumps(said)}
        message["tool_calls"] = [{"index": 0, "id": f"call_{number}", "type": "function", "function": function}]
    end = "tool_calls" if tool else "stop"
    if not request.stream:
        choice = {"index": 0, "message": message, "finish_reason": end}
        return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    chunk = {**head, "object": "chat.completion.chunk"}
    said_it = {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]}
    ended = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": end}]}
    return [(None, said_it), (None, ended), (None, {**chunk, "choices": [], "usage": usage}), (None, "[DONE]")]


def responses(request, tool, said, number):
    usage = {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}
    if tool:
        item = {"type": "function_call", "id": f"f{number}", "call_id": f"call_{number}", "name": tool}
        item |= {"arguments": json.dumps(said), "status": "completed"}
    else:
        content = [{"type": "output_text", "text": said, "annotations": []}]
        item = {"type": "message", "id": f"m{number}", "role": "assistant", "status": "completed", "content": content}
    whole = {"id": f"r{number}", "object": "response", "created_at": int(time.time()), "status": "completed"}
    whole |= {"model": request.model, "output": [item], "usage": usage}
    created = {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    steps = [{"type": f"response.output_item.{step}", "output_index": 0, "item": item} for step in ("added", "done")]
    events = [created, *steps, {"type": "response.completed", "response": whole}]
    return [(event["type"], event) for event in events]


def gemini(request, tool, said, number):
    part = {"functionCall": {"id": f"call_{number}", "name": tool, "args": said}} if tool else {"text": said}
    candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    usage = {"promptTokenCount": TOKENS_IN, "candidatesTokenCount": TOKENS_OUT}
    usage["totalTokenCount"] = TOKENS_IN + TOKENS_OUT
    answer = {"candidates": [candidate], "modelVersion": request.model, "usageMetadata": usage}
    return [(None, answer)] if request.stream else answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    asked = 0

    def log_message(self, *_):
        pass

    def reply(self, status, data, kind="application/json", **headers):
        self.send_response(status)
        headers = {"content-type": kind, "content-length": str(len(data)), **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.reply(200, b'{"object": "list", "data": [], "models": []}')

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = self.path.split("?")[0]
        if not re.search(r"/(chat/completions|responses)$|enerateContent$", path):
            return self.reply(404, b'{"error": {"message": "not here"}}')
        request = Request(path, body)
        with self.lock:
            Handler.asked += 1
            number = Handler.asked
            with open(HOME / "requests", "a") as requests:
                said = {"agent": self.headers.get("user-agent", ""), "prompt": request.prompt, "results": request.results}
                requests.write(json.dumps(said) + "\n")
        changed = HOME / "mode"
        mode = changed.read_text().strip() if changed.exists() else MODE
        if mode == "hang":
            return time.sleep(3600)
        fault = re.fullmatch(r"(\d{3})(?:\+(\d+))?", mode)
        if fault:
            code = int(fault[1])
            state = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}.get(code, "INTERNAL")
            error = {"message": f"the stub says {code}", "type": "stub", "code": code, "status": state}
            later = {"retry_after": fault[2]} if fault[2] else {}
            return self.reply(code, json.dumps({"error": error}).encode(), **later)
        answer = request.protocol(request, *request.answer(), number)
        if isinstance(answer, dict):
            return self.reply(200, json.dumps(answer).encode())
        text = [event if isinstance(event, str) else json.dumps(event) for _, event in answer]
        names = [f"event: {name}\n" if name else "" for name, _ in answer]
        stream = [f"{name}data: {data}\n\n".encode() for name, data in zip(names, text)]
        if mode == "cut":
            self.close_connection = True
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n"
            return self.wfile.write(head + stream[0][:40])
        self.reply(200, b"".join(stream), "text/event-stream")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # An agent that was ended drops its connection.


def configure(url):
    """Makes every agent speak to the model, quickly tired of errors and with a key that opens nothing."""
    codex = HOME / ".codex/config.toml"
    codex.parent.mkdir(exist_ok=True)
    codex.write_text(
        f"""model = "stub"
model_provider = "stub"
[model_providers.stub]
name = "stub"
base_url = "{url}/v1"
env_key = "STUB_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
    )
    gemini_settings = HOME / ".gemini/settings.json"
    gemini_settings.parent.mkdir(exist_ok=True)
    quiet = {"general": {"maxAttempts": 1, "enableAutoUpdate": False}, "privacy": {"usageStatisticsEnabled": False}}
    gemini_settings.write_text(json.dumps(quiet))
    model = {"name": "stub", "cost": {"input": 1, "output": 10}}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "stub", "models": {"stub": model}}
    provider["options"] = {"baseURL": f"{url}/v1", "apiKey": "fake"}
    opencode = {"model": "stub/stub", "small_model": "stub/stub", "autoupdate": False, "share": "disabled"}
    variables = {
        "STUB_KEY": "fake",
        "GEMINI_MODEL": "gemini-2.5-flash",
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_API_KEY": "fake",
        "GOOGLE_VERTEX_BASE_URL": url,
        "OPENCODE_CONFIG_CONTENT": json.dumps({**opencode, "provider": {"stub": provider}}),
        "OPENAI_API_KEY": "fake",
        "OPENAI_API_BASE": f"{url}/v1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "MSWEA_MODEL_NAME": "openai/stub",
        "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "1",
    }
    os.environ.update(variables, BEADLINE_ENV=",".join(variables))


MODE, COMMAND = sys.argv[1], sys.argv[2:]
server = Server(("127.0.0.1", 0), Handler)
configure(f"http://127.0.0.1:{server.server_address[1]}")
if MODE == "refused":
    server.server_close()
else:
    threading.Thread(target=server.serve_forever, daemon=True).start()
sys.exit(subprocess.run(COMMAND).returncode)
