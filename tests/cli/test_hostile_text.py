# SPDX-License-Identifier: Apache-2.0
"""Text of others on its way to the terminal, from every source: no code of theirs reaches it, nothing is hidden by it."""
import contextlib
import http.server
import json
import re
import sqlite3
import threading
import unicodedata

import pytest

# Clears, moves and colours; a title; a link; a string that is not closed; 8-bit codes; overprinting; turned letters.
HOSTILE = ("\x1b[2J\x1b[1;31mfirst\x1b[0m \x1b]0;title\x07\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\ \x1b(0\x1bc"
           "\u009b31m\u009d0;x\u009c second\rover\b\b\x7f\x07 \u202egnp.exe\u202c \u2066iso\u2069 \u061c\u200f\u2028third")
SHOWN = ("first", "link", "second", "over", "gnp.exe", "iso", "third")
OWN = re.compile("\x1b\\[(0|1|2|31|32|33|36)m|\r\x1b\\[2K")


def assert_clean(text, shown=SHOWN):
    rest = OWN.sub("", text)
    bad = {hex(ord(c)) for c in rest if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c not in "\n\t"}
    assert not bad, (bad, rest)
    for word in shown:
        assert word in rest, rest


class Outlet:
    """The program in the project, once in a pipe and once on a terminal."""

    def __init__(self, kourou, terminal):
        self.kourou, self.terminal = kourou, terminal

    def both(self, *words, status=0, shown=SHOWN):
        done = self.kourou(*words)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert_clean(done.stdout + done.stderr, shown)
        assert_clean(self.on_terminal(*words, status=status), shown)
        return done

    def on_terminal(self, *words, status=0):
        t = self.terminal(*words, COLUMNS="200")
        assert t.end() == status, t.seen
        return t.seen.replace("\r\n", "\n")


@pytest.fixture
def outlet(kourou, terminal, project):
    return Outlet(kourou, terminal)


@pytest.fixture
def space(kourou, project, hub, token, monkeypatch):
    """A Space of my_module.my_pipeline at the test Hub."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", token)
    kourou("deployer", "register", "hf", "-f", "huggingface", check=0)
    kourou("stack", "register", "hf", "-D", "hf", "-a", "default", "-o", "default", "--set", check=0)
    kourou("pipeline", "deploy", "--name", "my_deployment", "my_module.my_pipeline", check=0)
    return hub.space("alice/zenml-my_deployment")


RUNTIME = "/api/spaces/alice/zenml-my_deployment/runtime"


def test_errors_of_the_hub(outlet, space, hub):
    body = json.dumps({"error": HOSTILE})
    hub.fault("status", "GET", RUNTIME, times=-1, status=400, body=body)
    outlet.both("deployment", "list")
    outlet.both("deployment", "describe", "my_deployment")
    outlet.both("deployment", "refresh", "my_deployment", status=1)


def test_warnings_of_the_hub(outlet, space, hub):
    words = HOSTILE.translate({c: None for c in map(ord, "\r\n\u2028")}).encode("utf-8").decode("latin-1")
    hub.fault("status", "GET", "*/runtime*", times=-1, status=400, body="{}",
              headers={"X-HF-Warning": f"topic; {words}"})
    done = outlet.kourou("deployment", "logs", "my_deployment")
    assert_clean(done.stdout + done.stderr, ())


def test_states_of_a_space(outlet, space):
    space.set_stage("RUNTIME_ERROR", HOSTILE)
    outlet.both("deployment", "describe", "my_deployment")
    outlet.both("deployment", "invoke", "my_deployment", status=1, shown=("first", "link"))
    exact = outlet.kourou("deployment", "describe", "my_deployment", "-o", "json", check=0).stdout
    seen = outlet.on_terminal("deployment", "describe", "my_deployment", "-o", "json")
    assert_clean(seen, ())
    assert json.loads(seen)["state_note"] == json.loads(exact)["state_note"]


def test_logs_of_a_space(outlet, space):
    """What programs read is what was logged; a terminal gets the words."""
    space.say(HOSTILE.replace("\r", " "))
    assert_clean(outlet.on_terminal("deployment", "logs", "my_deployment"))


def test_logs_of_a_build(outlet, kourou, space, hub, project):
    hub.script(build={"ok": False, "exit_code": 1, "log": [HOSTILE.replace("\r", " "), "ERROR: " + HOSTILE.replace("\r", " ")]})
    for number in range(2):
        module = project / "my_module.py"
        module.write_text(module.read_text() + f"# {number}\n")
        words = ("pipeline", "deploy", "--update", "--name", "my_deployment", "my_module.my_pipeline")
        if number == 0:
            done = kourou(*words, check=1)
            assert_clean(done.stdout + done.stderr)
        else:
            assert_clean(outlet.on_terminal(*words, status=1))
    assert_clean(outlet.on_terminal("deployment", "logs", "my_deployment", "--build"))


def test_answers_keep_their_value(outlet, kourou, project, deployed):
    """JSON in a pipe is as it came; on a terminal it is the same value without a code."""
    plain = HOSTILE.replace("\x00", "")
    wanted = f"HELLO {plain}!".upper()
    exact = kourou("deployment", "invoke", deployed, f"--name={plain}", check=0).stdout
    answer = json.loads(exact)
    assert json.dumps(answer["outputs"]).count("\\u202e") == json.dumps(wanted).count("\\u202e") == 1
    assert next(iter(answer["outputs"].values())) == wanted and "\u202e" in exact
    seen = outlet.on_terminal("deployment", "invoke", deployed, f"--name={plain}")
    assert_clean(seen, ())
    assert json.loads(seen)["outputs"] == answer["outputs"]


def test_answers_that_fail(outlet, kourou, project):
    (project / "bad.py").write_text("from kourou import pipeline, step\n\n@step\ndef fail() -> str:\n"
                                    f"    raise ValueError({HOSTILE!r})\n\n@pipeline\ndef p() -> str:\n    return fail()\n")
    kourou("pipeline", "deploy", "--name", "bad", "bad.p", check=0)
    try:
        done = kourou("deployment", "invoke", "bad", check=1)
        assert_clean(done.stderr, ("first",))
        assert_clean(outlet.on_terminal("deployment", "invoke", "bad", status=1), ("first",))
        assert_clean(outlet.on_terminal("deployment", "logs", "bad"), ("first",))
    finally:
        kourou("deployment", "delete", "bad", "--yes", check=0)


def test_what_a_module_prints_and_raises(outlet, project):
    (project / "loud.py").write_text(f"print({HOSTILE!r})\nraise RuntimeError({HOSTILE!r})\n")
    outlet.both("pipeline", "deploy", "loud.p", status=1)


def test_names_in_the_store(outlet, kourou, home, deployed):
    """Records may come from another program, or from before names were checked."""
    kourou("secret", "create", "plain", "--k=v", check=0)
    with contextlib.closing(sqlite3.connect(home / "kourou/store.db")) as store, store:
        for table in ("deployments", "stacks", "components", "secrets", "snapshots"):
            column = "name"
            store.execute(f"UPDATE {table} SET {column} = coalesce({column}, '') || ?", (HOSTILE,))
    try:
        for words in (("deployment", "list"), ("stack", "list"), ("stack", "describe"), ("stack", "get"), ("deployer", "list"),
                      ("deployer", "describe"), ("deployer", "get"), ("secret", "list"), ("secret", "get", "plain"),
                      ("status",), ("pipeline", "snapshot", "list"), ("deployment", "describe", "my_deployment")):
            outlet.both(*words, shown=())
            yaml = outlet.kourou(*words, "-o", "yaml", check=0).stdout if words[-1] != "plain" else ""
            assert "\u202e" not in yaml and "\u009b" not in yaml
            for form in ("json", "csv", "tsv", "yaml"):
                assert_clean(outlet.on_terminal(*words, "-o", form), ())
        asked = outlet.terminal("deployment", "delete", "my_deployment", "--force")
        asked.expect("[y/N]").type("n\n")
        assert asked.end() == 0
        assert_clean(asked.seen.replace("\r\n", "\n"), ())
    finally:
        kourou("deployment", "delete", "--all", "--yes", "--force")


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"errors": [{"code": HOSTILE, "message": HOSTILE}]}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        self.send_header("Content-Length", "100")
        self.send_header("Docker-Content-Digest", "sha256:" + "0" * 64)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_errors_of_a_registry(outlet, kourou, space, project):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        image = f"127.0.0.1:{server.server_address[1]}/base:1"
        (project / "c.yaml").write_text(f"settings: {{docker: {{parent_image: '{image}'}}}}\n")
        kourou("container-registry", "register", "r", "-f", "default", f"--uri={image.split('/')[0]}/x", check=0)
        kourou("stack", "update", "-c", "r", check=0)
        done = outlet.both("pipeline", "deploy", "--update", "-c", "c.yaml", "--name", "my_deployment", "my_module.my_pipeline",
                           status=1, shown=("first",))
        assert image.split("/")[0] in done.stderr
        server.shutdown()


def test_words_of_the_command_line(outlet):
    outlet.both(HOSTILE, status=2)
    outlet.both("deployment", HOSTILE, status=2)
    outlet.both("deployment", "list", "--" + HOSTILE, status=2)
    outlet.both("deployment", "describe", HOSTILE, status=1)
    outlet.both("stack", "list", "-c", HOSTILE, status=0)
    outlet.both("stack", "list", "-o", HOSTILE, status=2)
