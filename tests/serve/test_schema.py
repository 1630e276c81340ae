# SPDX-License-Identifier: Apache-2.0
"""schemathesis reads /openapi.json and tries to find an answer that the document does not allow."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.serve.serve_harness import BUILD, PYTHON, ROOT, Server

NATIVE = os.environ.get("KOUROU_NATIVE_BIN", str(BUILD / "kourou-native"))


def compile_example(name, source, folder):
    root = ROOT / "examples" / name
    out = folder / "made.json"
    subprocess.run([PYTHON, ROOT / "python/kourou/_boot.py", "compile", source, "--root", root, "--output", out],
                   check=True, cwd=root, timeout=120)
    return out, root


def build_native(folder):
    library = folder / "libanomaly.so"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", f"-I{ROOT / 'include'}", "-o", library,
                    ROOT / "examples/native/anomaly.c", "-lm"], check=True)
    made = subprocess.run([NATIVE, "--describe", "libanomaly.so", "--root", folder], check=True, capture_output=True)
    (folder / "made.json").write_bytes(made.stdout)
    return folder / "made.json", folder


class Example(Server):
    """A server of a real pipeline."""

    def __init__(self, folder, made, root, args=(), env=None):
        import json

        super().__init__(folder, json.loads(Path(made).read_text()), ["--root", str(root), *args], env,
                         ROOT / "python")


@pytest.fixture(params=["greeting", "digits", "native"])
def example(request, tmp_path):
    if request.param == "native":
        made, root = build_native(tmp_path)
    elif request.param == "digits":
        made, root = compile_example("digits", "digits.predict_digit", tmp_path)
    else:
        made, root = compile_example("greeting", "my_module.my_pipeline", tmp_path)
    server = Example(tmp_path, made, root).ready()
    yield server
    server.check_clean()
    server.stop()


def test_document_tells_the_truth(example):
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"http://127.0.0.1:{example.port}/openapi.json",
               "--max-examples", "40", "--phases", "examples,coverage,fuzzing",
               "--seed", "7", "--no-color"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=example.folder)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
