# SPDX-License-Identifier: Apache-2.0
"""What steps print of secrets, in every shape, does not get out of the server."""
import json
import subprocess

import pytest
from tests.serve.serve_harness import PYTHON, ROOT, Server, wait_for

PEM = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(
    "".join(chr(97 + (row * 31 + column * column * 7) % 26) for column in range(64)) for row in range(24)
) + "\nab==\n-----END PRIVATE KEY-----\n"
SECRETS = {"PEM": PEM, "TOKEN": "tok-12345678", "LONGER": "tok-12345678-and-more", "ODD": 'q"uo\\te\'d\u00e9-value'}


@pytest.fixture
def secretive(start):
    return lambda **more: start(env={**SECRETS, "KOUROU_SECRET_NAMES": ",".join(SECRETS)}, **more)


def said(server, text, **more):
    """The log after a step has printed text and then a mark."""
    server.invoke("print", text=text, **more)
    server.invoke("print", text="all-was-said")
    wait_for(lambda: "all-was-said" in server.log(), "the mark in the log")
    return server.log()


def shapes():
    odd = SECRETS["ODD"]
    yield "lines", f"key:\n{PEM}end", PEM.splitlines()[:-2]
    yield "prefixed lines", "".join(f"{i}: {line}\r\n" for i, line in enumerate(PEM.splitlines())), PEM.splitlines()[:-2]
    yield "json", json.dumps({"key": PEM}), [line[-30:] for line in PEM.splitlines()[:-2]] + ["ab=="]
    yield "repr", repr(PEM), [line[-30:] for line in PEM.splitlines()[:-2]] + ["ab=="]
    yield "bytes", repr(odd.encode()), ["uo\\\\te", "xa9-value"]
    yield "escaped", json.dumps(odd), ["uo\\", "00e9"]
    yield "beginning", "short tok-12345678 long tok-12345678-and-more.", ["tok-", "-and-more"]


@pytest.mark.parametrize("text, parts", [s[1:] for s in shapes()], ids=[s[0] for s in shapes()])
def test_no_shape_of_a_secret_is_in_the_log(secretive, text, parts):
    log = said(secretive(), text)
    assert "*******" in log
    for part in parts:
        assert part not in log, part


def test_no_place_in_a_long_line_lets_a_secret_through(secretive):
    """The log cuts lines at 2,048 and 4,096 bytes, the console is read in 2,048."""
    server = secretive()
    secret = SECRETS["LONGER"]
    for at in [2020, 2040, 2047, 2048, 4070, 4085, 4095, 4096, 4097, 6140, 8190]:
        server.invoke("print", text="." * at + secret + "." * 3000)
    log = said(server, "nothing")
    messages = "".join(json.loads(line)["message"].partition("] ")[2] for line in log.splitlines()
                       if line.startswith("{") and "[0] " in line)
    assert messages.count("*" * len(secret)) == 11
    for part in ("tok-", "12345678", "-and-", "more"):
        assert part not in log


def test_a_last_word_that_is_cut_short(secretive, tmp_path):
    """A worker that dies in the middle of a value has said most of it."""
    server = secretive(check=False)
    server.invoke("python", code="import os; os.write(1, b'last: tok-12345678-an'); os._exit(3)")
    wait_for(lambda: "last: ****" in server.log(), "the last words")
    assert "tok-" not in server.log() and "5678-an" not in server.log()


def test_answers_and_health_of_a_failing_start(start, tmp_path):
    (tmp_path / "mode").write_text("fatal " + SECRETS["LONGER"] + " " + "x" * 470 + PEM)
    server = start(env={**SECRETS, "KOUROU_SECRET_NAMES": ",".join(SECRETS)}, ready=False, check=False)
    answer = wait_for(lambda: (a := server.get("/health")).json().get("failures") and a, "a failed start")
    text = answer.body.decode()
    assert "*******" in text and "tok-" not in text
    assert not [line for line in PEM.splitlines()[:-2] if line in text or line in server.log()]


def test_answers_about_failures_and_the_access_log(secretive):
    server = secretive()
    answer = server.invoke("raise", message=f"no log-in with {SECRETS['LONGER']} or {SECRETS['ODD']}")
    assert answer.status == 500 and b"no log-in with ****" in answer.body, answer.body
    assert b"tok-" not in answer.body and b"uo" not in answer.body
    server.get("/nothing/tok-12345678-and-more")
    server.get("/" + "x" * 500 + "tok-12345678-and-more")
    wait_for(lambda: server.log().count('"status":404') == 2, "the requests in the log")
    assert "tok-" not in server.log()


@pytest.mark.parametrize("pad", [0, 300_000], ids=["small", "in a memory file"])
def test_answers_about_failures_of_every_form(secretive, pad):
    """One of a batch, at the end of a stream, too large for a frame: what failed is masked, what succeeded is not."""
    server, secret = secretive(), SECRETS["LONGER"]
    answer = server.invoke("raise", message=f"no log-in with {secret} {'x' * pad}")
    assert answer.status == 500 and b"no log-in with ****" in answer.body and secret.encode() not in answer.body
    items = [{"parameters": {"op": op, "message": f"no log-in with {secret}", "value": f"{secret} {'x' * pad}"}}
             for op in ("echo", "raise", "echo")]
    first, second, third = server.post("/invoke/batch", items).json()
    assert second["success"] is False and second["error"] == f"no log-in with {'*' * len(secret)}"
    for item in (first, third):  # an output is what the pipeline says, as in a single invocation
        assert item["outputs"]["output"].startswith(secret)


FAILS = '''
import os
from kourou import pipeline, step, stream

@step
def work(pad: int = 0) -> str:
    stream({"at": "work"})
    raise ValueError("no log-in with " + os.environ["TOKEN"] + "x" * pad)

@pipeline
def served(pad: int = 0) -> str:
    return work(pad)
'''


@pytest.mark.parametrize("pad", [0, 300_000], ids=["small", "large"])
def test_failures_of_a_real_pipeline(tmp_path, pad):
    (tmp_path / "fails_app.py").write_text(FAILS)
    subprocess.run([PYTHON, ROOT / "python/kourou/_boot.py", "compile", "fails_app.served", "--root", tmp_path, "--output",
                    tmp_path / "made.json"], check=True)
    server = Server(tmp_path, json.loads((tmp_path / "made.json").read_text()), env={**SECRETS, "KOUROU_SECRET_NAMES": ",".join(SECRETS)},
                    python_path=ROOT / "python").ready()
    try:
        parameters = {"parameters": {"pad": pad}}
        for path, body in (("/invoke", parameters), ("/invoke/batch", [parameters]), ("/invoke/stream", parameters)):
            answer = server.post(path, body)
            assert b"no log-in with ****" in answer.body and b"tok-" not in answer.body, (path, answer)
    finally:
        server.close()
        server.stop()
