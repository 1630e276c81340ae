# SPDX-License-Identifier: Apache-2.0
"""Every example of every help page runs and ends well, in a home where its names exist."""
import http.server
import os
import shlex
import shutil
import sqlite3
import subprocess
import threading

import pytest

BUILD = "4f9c2a10-0000-4000-8000-000000000000"


class Registry(http.server.BaseHTTPRequestHandler):
    """As much of a registry as says that it is one."""

    def do_GET(self):
        self.send_response(200 if self.path == "/v2/" else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


@pytest.fixture
def registry():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}/someone"
    server.shutdown()
    server.server_close()


@pytest.fixture
def prepared(kourou, project, home, registry, hub, monkeypatch):
    """A home with the things that examples name."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    for words in (
            "secret create hf_token --token=hf_aBcDeFgH",
            "secret create old_token --token=hf_oLdOlDoL",
            "deployer register hub --flavor=huggingface --secret_name=hf_token --space_hardware=t4-small",
            "artifact-store register bucket --flavor=s3 --path=s3://bucket/models --label team=vision",
            f"container-registry register registry --flavor=default --uri={registry} --default_repository=a",
            "image-builder register builder --flavor=local --label team=audio",
            "orchestrator register runner --flavor=local --label team=audio",
            "stack register hub_stack -a default -o default -D default -i default",
            "stack export hub_stack exported.yaml",
            "pipeline snapshot create my_module.my_pipeline --name kept",
            "pipeline snapshot create my_module.old_pipeline --name old"):
        kourou(*shlex.split(words), check=0)
    store = sqlite3.connect(home / "kourou/store.db")
    snapshot, = store.execute("SELECT id FROM snapshots WHERE name = 'kept'").fetchone()
    row = {"id": BUILD, "snapshot_id": snapshot, "digest": "sha256:0", "kind": "image", "user": "somebody",
           "created": "2026-01-01T00:00:00.000Z"}
    store.execute(f"INSERT INTO builds ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    store.commit()
    store.close()
    return home


def needs_deployment(example):
    return example.startswith(("deployment ", "pipeline deploy ", "pipeline snapshot deploy "))


def run(build_dir, example, **options):
    done = subprocess.run(["bash", "-c", f"kourou {example}"], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, env={**os.environ, "PATH": f"{build_dir}:{os.environ['PATH']}"},
                          **options)
    assert done.returncode == 0, (example, done.stdout, done.stderr)
    assert "Error:" not in done.stderr, example
    return done


def test_examples(commands, prepared, project, build_dir, kourou, tmp_path, monkeypatch):
    examples = [e for command in commands for e in command["examples"] if not needs_deployment(e)]
    assert len(examples) > 90
    for number, example in enumerate(examples):
        copy, here = tmp_path / f"home-{number}", tmp_path / f"project-{number}"
        shutil.copytree(prepared, copy)
        shutil.copytree(project, here)
        monkeypatch.setenv("KOUROU_HOME", str(copy / "kourou"))
        if example.startswith("secret create hf_token"):
            kourou("secret", "delete", "hf_token", "--yes", "--force", check=0)
        run(build_dir, example, cwd=here)
        shutil.rmtree(copy)
        shutil.rmtree(here)


def test_examples_with_a_deployment(commands, prepared, project, build_dir, kourou):
    examples = [e for command in commands for e in command["examples"] if needs_deployment(e)]
    assert len(examples) > 12
    source = project / "my_module.py"
    text = source.read_text()
    try:
        for number, example in enumerate(examples):
            if "rollback" in example or number == 0:
                source.write_text(text + f"# {number}\n")
            kourou("pipeline", "deploy", "--name", "my_deployment", "my_module.my_pipeline", "--update", check=0)
            run(build_dir, example)
    finally:
        kourou("deployment", "delete", "--all", "--yes", "--force", "--ignore-errors")


def test_the_example_of_the_first_page(build_dir, prepared, project, kourou):
    try:
        assert "  kourou pipeline deploy --name my_deployment my_module.my_pipeline\n" in kourou("--help").stdout
        run(build_dir, "pipeline deploy --name my_deployment my_module.my_pipeline")
    finally:
        kourou("deployment", "delete", "--all", "--yes", "--force", "--ignore-errors")
