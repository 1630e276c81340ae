# SPDX-License-Identifier: Apache-2.0
"""The first commands of the README and of the page on C, and all of the page on Spaces, do what is said there."""
import os
import re
import shutil
import subprocess

import pytest

from tests.cli.conftest import Terminal


def block(path, kind, containing):
    """The one code block of this kind that has a text."""
    found = re.findall(rf"^```{kind}\n(.*?)^```", path.read_text(), re.M | re.S)
    (one,) = [text for text in found if containing in text]
    return one


@pytest.fixture
def shell(build_dir, root, home, tmp_path):
    """Runs a script as in a clone after `make`, in a folder of its own."""
    folder = tmp_path / "clone"
    shutil.copytree(root / "examples/greeting", folder / "examples/greeting")
    (folder / "include").symlink_to(root / "include")
    path = f"{build_dir}:{root / '.venv/bin'}:{os.environ['PATH']}"

    def run(script, cwd=folder):
        done = subprocess.run(["bash", "-e"], input=script, cwd=cwd, env={**os.environ, "PATH": path}, timeout=120,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield folder, run
    run("kourou deployment delete --yes --all || true")  # there is none, when all went well


def test_readme(root, shell):
    readme, (_, run) = root / "README.md", shell
    said = run(block(readme, "sh", "cd examples/greeting"))
    assert '"greeting": "Hello, Ada!"' in said and "my_deployment" in said and "listening on" in said


def test_python_of_the_clone(root, shell):
    """`. .venv/bin/activate` gives the Python that `make` prepared: scripts that import kourou or zenml run with it."""
    folder, run = shell
    activate = f". {root}/.venv/bin/activate; unset PYTHONPATH; cd {folder}/examples/greeting; "
    said = run(activate + "python my_module.py; python -c 'import kourou, zenml, my_module; print(my_module.my_pipeline())'")
    assert "Hello, world!" in said


def test_module_of_the_readme(root, shell):
    folder, run = shell
    (folder / "examples/greeting/my_module.py").write_text(block(root / "README.md", "python", "def my_pipeline"))
    assert '"greeting": "Hello, Ada!"' in run(block(root / "README.md", "sh", "cd examples/greeting"))


def test_page_on_c(root, shell):
    page, (folder, run) = root / "docs/pipelines-c.md", shell
    own = folder / "temperature"
    own.mkdir()
    (own / "temperature.c").write_text(block(page, "c", "kourou_pipeline"))
    assert '"fahrenheit": 68.0' in run(block(page, "sh", "pipeline deploy"), own)
    run("kourou deployment delete temperature --yes")


def printed(path):
    """Every command line of the page's sh blocks, without what is said behind it."""
    lines = re.sub(r"^   ", "", path.read_text(), flags=re.M)
    blocks = re.findall(r"^```sh\n(.*?)^```", lines, re.M | re.S)
    return [re.sub(r"\s+# .*", "", line) for text in blocks for line in text.splitlines() if line.strip()]


def test_page_on_spaces(root, shell, hub, token, build_dir, monkeypatch):
    """All of docs/huggingface.md, on a terminal, with yes for every question, against the test Hub."""
    folder, run = shell
    source = folder / "spaces" / "my_module.py"
    source.parent.mkdir()
    source.write_text(block(root / "README.md", "python", "def my_pipeline"))
    monkeypatch.chdir(source.parent)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("PATH", f"{build_dir}:{root / '.venv/bin'}:{os.environ['PATH']}")
    commands = printed(root / "docs/huggingface.md")
    assert len(commands) >= 15 and all(line.startswith("kourou ") for line in commands)
    space, deploy = hub.space("alice/zenml-my_deployment"), None
    for line in commands:
        if line.startswith("kourou deployment rollback"):  # there has to be something to come back from
            source.write_text(source.read_text() + "# another snapshot\n")
            type_in(deploy)
        said = type_in(line.replace("<YOUR_HF_TOKEN>", token))
        deploy = line if line.startswith("kourou pipeline deploy") else deploy
        assert "Error:" not in said and token not in said, said
        if line.endswith("--build"):
            assert "Build Queued" in said
        if "invoke" in line:
            assert '"Ada"' in said
        if "deprovision" in line:
            assert space.stage == "PAUSED"
    assert hub.spaces() == [] and "No deployments found" in run("kourou deployment list 2>&1")


def type_in(line):
    """What a terminal shows for a command. One that follows gets Ctrl-C once it has shown something."""
    shown = Terminal(["/bin/bash", "-c", line])
    answered = 0
    try:
        while shown.read(60):
            if shown.text.count("[y/N]") > answered:
                answered += 1
                shown.type("y\n")
            if line.endswith(" -f") and "Application Startup" in shown.text:
                shown.type("\x03")
                break
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(shown.pid, 0)[1])
        os.close(shown.fd)
    assert status == 0, (line, status, shown.text)
    return shown.text


def test_settings_of_the_page_on_spaces(root, shell):
    _, run = shell
    (text,) = re.findall(r"^```python\n(.*?)^```", (root / "docs/huggingface.md").read_text(), re.M | re.S)
    run(f"PYTHONPATH={root}/python python - <<'END'\n{text}\nprint(my_pipeline)\nEND")
