# SPDX-License-Identifier: Apache-2.0
"""Pipelines for the tests are modules in a folder of their own, as users write them."""
import importlib
import json
import pathlib
import subprocess
import sys
import textwrap
import uuid

import pytest

PYTHON = pathlib.Path(__file__).resolve().parents[2] / "python"
sys.path.insert(0, str(PYTHON))


class Project:
    """A source root with modules that the test writes."""

    def __init__(self, root):
        self.root = root

    def write(self, text, name="mod"):
        path = self.root / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def load(self, text, name="mod"):
        """Writes a module and imports it."""
        self.write(text, name)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def compile(self, source="mod.p", config=None, python=sys.executable, env=None, name=None):
        """(exit status, document) of the compiler, run as the command line tool runs it."""
        output = self.root / f"out-{uuid.uuid4()}.json"
        command = [python, str(PYTHON / "kourou" / "_boot.py"), "compile", source, "--root", str(self.root),
                   "--output", str(output)]
        if config is not None:
            path = self.root / "config.json"
            path.write_text(json.dumps(config))
            command += ["--config", str(path)]
        if name:
            command += ["--name", name]
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, cwd="/")
        self.stdout, self.stderr = done.stdout, done.stderr
        assert output.exists(), done.stderr
        self.text = output.read_text()
        output.unlink()
        document = json.loads(self.text)
        document.pop("needs", None)  # beside the snapshot: tests/python/test_needs.py
        return done.returncode, document

    def snapshot(self, source="mod.p", **options):
        status, document = self.compile(source, **options)
        assert status == 0, document
        return document

    def error(self, source="mod.p", **options):
        status, document = self.compile(source, **options)
        assert status == 1, document
        return document["error"]

    def runner(self, text=None, source="mod.p", config=None, start=True):
        """A started Runner for a module, made from its snapshot."""
        from kourou import compiler, runtime

        if text is not None:
            self.load(text, source.split(".")[0])
        snapshot = json.loads(compiler.canonical_text(compiler.snapshot_of(source, config, root=str(self.root))))
        runner = runtime.load(snapshot, str(self.root), {"id": "d1", "name": "dep", "snapshot_id": "s1",
                                                         "snapshot_name": "50% snap"})
        if start:
            runner.start()
        return Asker(runner)


class Asker:
    """A Runner with JSON in and out."""

    run_id = "0d5ab4b8-0000-4000-8000-000000000001"

    def __init__(self, runner):
        self.runner = runner

    def __call__(self, **parameters):
        return self.raw({"parameters": parameters})

    def raw(self, body):
        body = body if isinstance(body, (bytes, memoryview)) else json.dumps(body).encode()
        status, answer, flags = self.runner.invoke(body, self.run_id)
        assert type(answer) is bytes
        document = json.loads(answer)
        assert flags == (2 if status == 200 else 0), "RUN_OK of docs/worker-protocol.md"
        return status, document

    def outputs(self, **parameters):
        status, document = self(**parameters)
        assert status == 200, document
        return document["outputs"]

    def refused(self, **parameters):
        status, document = self(**parameters)
        assert status == 422, document
        return document["detail"]

    def failed(self, **parameters):
        status, document = self(**parameters)
        assert status == 500, document
        assert document["success"] is False and document["outputs"] is None
        return document["error"]

    def events(self, **parameters):
        blocks = self.runner.stream(json.dumps({"parameters": parameters}).encode(), self.run_id)
        return [parse_event(block) for block in blocks]

    def http(self, method, path, body=b"", query="", headers=()):
        status, found, answer = self.runner.custom(method, path, query, list(headers), body)
        assert all(type(k) is bytes and type(v) is bytes for k, v in found)
        return status, dict(found), answer


def parse_event(block):
    first, second, *rest = block.decode().split("\n")
    assert rest == ["", ""] and first.startswith("event: ") and second.startswith("data: ")
    return first[7:], json.loads(second[6:])


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(root)
    monkeypatch.setenv("KOUROU_ARTIFACTS", str(tmp_path / "artifacts"))
    known = set(sys.modules)
    path = list(sys.path)
    yield Project(root)
    sys.path[:] = path
    for name in set(sys.modules) - known:
        module = sys.modules[name]
        if str(getattr(module, "__file__", "") or "").startswith(str(root)):
            del sys.modules[name]
