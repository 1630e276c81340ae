# SPDX-License-Identifier: Apache-2.0
"""Which Python is used: the order for every kind of environment, what errors say of it, and where packages go."""
import base64
import hashlib
import json
import os
import subprocess
import sys
import sysconfig

import pytest


def make_env(folder, *modules, share=False):
    """A virtual environment with empty modules; share: and with the packages of the tests."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [site] = folder.glob("lib/python3*/site-packages")
    for name in modules:
        path = site / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    if share:
        (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def fake_env(folder):
    """Only the place of an interpreter, with the answers of one."""
    return fake_program(folder / "bin/python", environment=True).parent.parent


def fake_program(path, environment=False, managed=False, pip=True, packages=("scipy",)):
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = json.dumps({"environment": environment, "managed": managed, "pip": pip, "packages": dict.fromkeys(packages, True)})
    log = path.parent / "pip.log"
    path.write_text(f'#!/bin/sh\nif [ "$2" = pip ]; then shift 2; echo "$@" >>{log}; exit "${{PIP_STATUS:-0}}"; fi\n'
                    f"echo '{facts}'\n")
    path.chmod(0o755)
    return path


def pip_log(program):
    path = program.parent / "pip.log"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def place(tmp_path, home, monkeypatch):
    """A project folder, and nothing active; python3 on PATH is a program of the test."""
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "UV_PROJECT_ENVIRONMENT", "POETRY_CACHE_DIR",
                 "POETRY_VIRTUALENVS_PATH", "WORKON_HOME"):
        monkeypatch.delenv(name, raising=False)
    fake_program(tmp_path / "path/python3")
    monkeypatch.setenv("PATH", f"{tmp_path}/path:/usr/bin:/bin")
    folder = tmp_path / "above/project"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def key_of(path):
    return base64.urlsafe_b64encode(hashlib.sha256(str(path).encode()).digest()[:6]).decode()


class Kinds:
    """Sets up one kind of environment each; gives interpreter and reason."""

    def __init__(self, place, tmp_path, monkeypatch, home):
        self.place, self.tmp, self.monkeypatch, self.home = place, tmp_path, monkeypatch, home

    def active(self):
        env = fake_env(self.tmp / "active")
        self.monkeypatch.setenv("VIRTUAL_ENV", str(env))
        return env, "the active virtual environment (VIRTUAL_ENV)"

    def conda(self, name="ml"):
        env = fake_env(self.tmp / "conda" / name)
        self.monkeypatch.setenv("CONDA_PREFIX", str(env))
        self.monkeypatch.setenv("CONDA_DEFAULT_ENV", name)
        return env, f"conda's active environment {name} (CONDA_PREFIX)"

    def uv(self):
        self.monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", "of-uv")
        return fake_env(self.place / "of-uv"), "uv's environment (UV_PROJECT_ENVIRONMENT)"

    def dot_venv(self):
        return fake_env(self.place / ".venv"), ".venv of the source root"

    def venv(self):
        return fake_env(self.place / "venv"), "venv of the source root"

    def above(self):
        (self.place.parent / "pyproject.toml").write_text("[project]\nname = 'x'\n")
        return fake_env(self.place.parent / ".venv"), f".venv of {self.place.parent}"

    def poetry(self):
        (self.place / "pyproject.toml").write_text("[tool.poetry]\nname = 'x'\n")
        env = self.home / f".cache/pypoetry/virtualenvs/x-{key_of(self.place)}-py3.11"
        return fake_env(env), "Poetry's environment of the project"

    def pipenv(self):
        (self.place / "Pipfile").write_text("[packages]\n")
        env = self.home / f".local/share/virtualenvs/project-{key_of(self.place / 'Pipfile')}"
        return fake_env(env), "Pipenv's environment of the project"

    def base(self):
        return self.conda("base")


ORDER = ["active", "conda", "uv", "dot_venv", "venv", "above", "poetry", "pipenv", "base"]


@pytest.fixture
def kinds(place, tmp_path, monkeypatch, home):
    return Kinds(place, tmp_path, monkeypatch, home)


def chosen(kourou, *more):
    done = kourou("integration", "install", "sklearn", *more, check=1)
    return done.stderr


@pytest.mark.parametrize("kind", ORDER)
def test_each_kind_is_found_and_named(kourou, kinds, kind):
    env, why = getattr(kinds, kind)()
    assert f"Install these packages into {env}/bin/python ({why}): scikit-learn?" in chosen(kourou)
    row = {r["check"]: r for r in json.loads(kourou("doctor", "-o", "json").stdout)}["python"]
    assert str(env) in row["detail"] and why in row["detail"]


@pytest.mark.parametrize("first,second", [(a, b) for a, b in zip(ORDER, ORDER[1:]) if (a, b) != ("conda", "base")])
def test_the_order(kourou, kinds, first, second):
    getattr(kinds, second)()
    env, why = getattr(kinds, first)()
    assert f"{env}/bin/python ({why})" in chosen(kourou)


def test_without_an_environment(kourou, place, tmp_path, monkeypatch):
    said = chosen(kourou)
    assert (f"Install these packages into {tmp_path}/path/python3, which is not an environment of its own (python3 on PATH, as "
            f"no environment is active and there is none in {place}): scikit-learn?") in said
    monkeypatch.setenv("VIRTUAL_ENV", "/nowhere")
    assert "python3 on PATH, as VIRTUAL_ENV names /nowhere, which has no bin/python" in chosen(kourou)


def test_folders_above_count_only_for_a_project(kourou, place):
    fake_env(place.parent / ".venv")
    assert "python3 on PATH" in chosen(kourou)
    (place / ".git").mkdir()
    (place.parent / "pyproject.toml").write_text("")
    assert "python3 on PATH" in chosen(kourou), "a clone's top is the end of the project"


def test_python_that_is_given(kourou, kinds, tmp_path):
    kinds.active()
    other = fake_env(tmp_path / "other")
    for word in (other, other / "bin/python"):
        assert f"into {other}/bin/python (given by --python): scikit-learn?" in chosen(kourou, "--python", word)
    done = kourou("integration", "install", "sklearn", "--python", tmp_path / "none", check=1)
    assert done.stderr == (f"Error: no Python at '{tmp_path}/none'\n"
                           "  --python takes an interpreter or a virtual environment\n")


# -- what errors say


PIPELINE = """from kourou import pipeline, step

@step
def one() -> int:
    return 1

@pipeline
def p() -> int:
    return one()
"""


def deploy(kourou, *more, check=1):
    return kourou("pipeline", "deploy", "app.p", "--dry-run", *more, check=check).stderr


def hint(said):
    return said.splitlines()[-1].strip()


@pytest.fixture
def needs_module(place):
    (place / "app.py").write_text("import only_there.part\n" + PIPELINE)
    return place


@pytest.mark.parametrize("where", ["folder", "conda-list", "dot-venv", "path"])
def test_a_module_of_another_environment(kourou, needs_module, tmp_path, home, monkeypatch, where):
    used = make_env(tmp_path / "used", share=True)
    monkeypatch.setenv("VIRTUAL_ENV", str(used))
    other = {"folder": needs_module / "my-env", "conda-list": tmp_path / "conda/ml", "dot-venv": needs_module / ".venv",
             "path": tmp_path / "prefix"}[where]
    make_env(other, "only_there.part", share=True)
    if where == "conda-list":
        (home / ".conda").mkdir()
        (home / ".conda/environments.txt").write_text(f"/none\n{other}\n")
    named = other
    if where == "path":
        monkeypatch.setenv("PATH", f"{other}/bin:/usr/bin:/bin")
        named = other / "bin/python3"
    said = deploy(kourou)
    assert "Error: app.p: importing app failed: ModuleNotFoundError: No module named 'only_there' (app.py:1)" in said
    assert hint(said) == (f"{used}/bin/python was used: the active virtual environment (VIRTUAL_ENV); {named} has 'only_there': "
                          f"pass --python {named}")
    deploy(kourou, "--python", named, check=0)


def test_a_module_of_no_environment(kourou, needs_module):
    used = make_env(needs_module / ".venv", share=True)
    assert hint(deploy(kourou)) == (f"{used}/bin/python was used: .venv of the source root; install what brings 'only_there' "
                                    "into it, or name another one with --python")


def test_the_module_that_is_deployed(kourou, place):
    make_env(place / ".venv", share=True)
    assert hint(deploy(kourou)).startswith(f"modules are looked up in {place}; mark another folder")


def test_without_pydantic(kourou, needs_module, tmp_path):
    (needs_module / "app.py").write_text(PIPELINE)
    bare = make_env(tmp_path / "bare")
    said = deploy(kourou, "--python", bare)
    assert f"Error: {bare}/bin/python has no pydantic; pipelines need pydantic 2" in said
    assert "(it was used: given by --python; --python names another one)" in said
    other = make_env(needs_module / ".venv", "pydantic.main")
    said = deploy(kourou, "--python", bare)
    assert f"{other} has 'pydantic': pass --python {other}" in said


def test_a_program_that_is_no_python(kourou, needs_module, tmp_path):
    fake = tmp_path / "bin/nothing"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    said = deploy(kourou, "--python", fake)
    assert f"{fake} cannot run Kourou's Python part (exit status 3)" in said
    assert hint(said) == f"{fake} was used: given by --python; name another one with --python"


# -- where packages go


def test_yes_says_where(kourou, kinds):
    env, why = kinds.dot_venv()
    done = kourou("integration", "install", "sklearn", "--yes", check=0)
    assert done.stderr == f"Installing into {env}/bin/python ({why})\nInstalled: scikit-learn\n"
    assert pip_log(env / "bin/python") == ["install -q scikit-learn"]
    done = kourou("integration", "upgrade", "scipy", "--yes", check=0)
    assert done.stderr == f"Upgrading in {env}/bin/python ({why})\nUpgraded: scipy\n"
    done = kourou("integration", "uninstall", "scipy", "--yes", check=0)
    assert done.stderr == f"Uninstalling from {env}/bin/python ({why})\nUninstalled: scipy\n"


def test_a_terminal_is_asked(terminal, kinds):
    env, why = kinds.dot_venv()
    t = terminal("integration", "install", "sklearn")
    t.expect(f"into {env}/bin/python ({why}): scikit-learn? [y/N]:").type("n\n")
    assert t.end() == 0 and pip_log(env / "bin/python") == []
    t = terminal("integration", "install", "sklearn")
    t.expect("[y/N]:").type("y\n")
    assert t.end() == 0 and pip_log(env / "bin/python") == ["install -q scikit-learn"]


def test_the_operating_systems_python_is_left_alone(kourou, terminal, place, tmp_path):
    system = fake_program(tmp_path / "path/python3", managed=True)
    for verb, name in (("install", "sklearn"), ("uninstall", "scipy"), ("upgrade", "scipy")):
        for more in ((), ("--yes",)):
            said = kourou("integration", verb, name, *more, check=1).stderr
            assert said.startswith(f"Error: {system} belongs to the operating system") and "PEP 668" in said
            assert "python3 -m venv" in said and "--python" in said and "--break-system-packages" in said
            assert "python3 on PATH" in said
    assert pip_log(system) == []
    kourou("integration", "install", "sklearn", "--yes", "--break-system-packages", check=0)
    assert pip_log(system) == ["install -q --break-system-packages scikit-learn"]
    t = terminal("integration", "install", "sklearn", "--break-system-packages")
    t.expect("which is not an environment of its own").expect("[y/N]:").type("n\n")
    assert t.end() == 0 and len(pip_log(system)) == 1


def test_a_real_python_says_what_it_is(kourou, place, tmp_path):
    """The facts come from a real interpreter: an environment without pip, and Debian's own Python."""
    env = make_env(place / ".venv")
    said = kourou("integration", "install", "sklearn", check=1).stderr
    assert said == (f"Error: {env}/bin/python has no pip, and the program uv is not installed\n"
                    f"  {env}/bin/python -m ensurepip\n")
    uv = tmp_path / "path/uv"
    uv.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/uv.log\n')
    uv.chmod(0o755)
    kourou("integration", "install", "sklearn", "--yes", check=0)
    assert (tmp_path / "uv.log").read_text() == f"pip install -q --python={env}/bin/python scikit-learn\n"
    marker = subprocess.run(["/usr/bin/python3", "-c", "import os, sysconfig; print(os.path.exists(os.path.join("
                             "sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED')))"], capture_output=True, text=True)
    said = kourou("integration", "install", "sklearn", "--python", "/usr/bin/python3", check=1).stderr
    assert ("belongs to the operating system" in said) == (marker.stdout.strip() == "True")


def test_uv_on_request(kourou, kinds, tmp_path):
    env, _ = kinds.dot_venv()
    done = kourou("integration", "install", "sklearn", "--yes", "--uv", check=1)
    assert done.stderr.startswith("Error: the program uv is not installed\n  leave out --uv to use pip\n")
    assert os.listdir(env / "bin") == ["python"]


def test_list_says_which_python_it_means(kourou, kinds):
    env, why = kinds.dot_venv()
    assert f"Installed means: in {env}/bin/python ({why})\n" in kourou("integration", "list", check=0).stderr


def test_what_pip_says_cannot_move_the_cursor(kourou, terminal, kinds, monkeypatch):
    env, _ = kinds.dot_venv()
    program = env / "bin/python"
    program.write_text(program.read_text().replace("echo \"$@\" >>", "printf '\\033[2Jpip says\\r\\202\\033]0;x\\007' >&2; echo \"$@\" >>"))
    monkeypatch.setenv("PIP_STATUS", "1")
    done = kourou("integration", "install", "sklearn", "--yes", check=1, errors="replace")
    assert "pip | pip says" in done.stderr and not {"\x1b", "\r", "\x07"} & set(done.stderr)
    t = terminal("integration", "install", "sklearn", "--yes", NO_COLOR="1")
    assert t.end() == 1 and "pip says" in t.seen and not {"\x1b", "\x07"} & set(t.seen)
