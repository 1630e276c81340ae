# SPDX-License-Identifier: Apache-2.0
"""What a Space needs is there, or the deploy ends before anything is made: requirements and programs."""
import json
import os
import shutil

import pytest

SPACE = "alice/zenml-my_deployment"


def requirements(hub):
    return hub.space(SPACE).read(".kourou/requirements.txt").decode()


def refused(project, hub, *more, **options):
    """The error of a deploy that must leave nothing behind, here or on the Hub."""
    done = project.deploy(*more, check=1, **options)
    assert not hub.space(SPACE).exists()
    assert not [e for e in hub.log("hub") if e["method"] != "GET"]
    assert json.loads(project.run("deployment", "list", "-o", "json", check=0).stdout)["items"] == []
    assert "Traceback" not in done.stderr
    return done.stderr


def test_own_names_in_requirements_are_left_out(ready, hub):
    (ready.folder / "requirements.txt").write_text("-r base.txt\nsix==1.17.0\n")
    (ready.folder / "base.txt").write_text("ZenML[server]==0.98.0 ; python_version > '3'\nkourou==0.0.1\n")
    done = ready.deploy(check=0)
    assert requirements(hub) == "six==1.17.0\npydantic>=2\n"
    assert "base.txt:1: ZenML[server]==0.98.0" in done.stderr and "base.txt:2: kourou==0.0.1" in done.stderr


def test_requirements_of_powershell(ready, hub):
    (ready.folder / "requirements.txt").write_bytes("six==1.17.0\r\nidna\r\n".encode("utf-16"))
    ready.deploy(check=0)
    assert requirements(hub) == "six==1.17.0\nidna\npydantic>=2\n"
    assert hub.space(SPACE).read("requirements.txt") == b"six==1.17.0\r\nidna\r\n"


def test_requirements_that_are_no_text(ready, hub):
    (ready.folder / "requirements.txt").write_bytes("six\n".encode("utf-16-le"))
    said = refused(ready, hub)
    assert "requirements.txt is not UTF-8 text" in said and "save it as UTF-8" in said


def test_pyproject_of_powershell(ready, hub):
    (ready.folder / "pyproject.toml").write_bytes(
        "[project]\nname = 'x'\ndependencies = ['six==1.17.0']\n".encode("utf-16"))
    ready.deploy(check=0)
    assert requirements(hub) == "six==1.17.0\npydantic>=2\n"


def test_git_is_there_when_a_requirement_is_fetched_with_it(ready, hub):
    (ready.folder / "requirements.txt").write_text("-r base.txt\n")
    (ready.folder / "base.txt").write_text("lib[a] @ \\\n git+https://git.example/lib@v1 ; python_version > '3' # x\n")
    ready.deploy(check=0)
    dockerfile = hub.space(SPACE).read("Dockerfile").decode()
    assert dockerfile.index("ca-certificates git") < dockerfile.index("requirements.txt")
    (ready.folder / "base.txt").write_text("six\n")
    ready.deploy(check=0)
    assert "git" not in hub.space(SPACE).read("Dockerfile").decode()


@pytest.mark.parametrize("where", ["requirements.txt", "nested", "constraint"])
def test_variable_that_nobody_gives(ready, hub, where):
    line = "--extra-index-url https://${NOBODY}@pip.example/simple\nsix\n"
    names = {"requirements.txt": line, "nested": "-r more.txt\n", "constraint": "six\n-c more.txt\n"}
    (ready.folder / "requirements.txt").write_text(names[where])
    (ready.folder / "more.txt").write_text("six @ https://${NOBODY}@pip.example/six.whl\n")
    said = refused(ready, hub)
    assert "${NOBODY}" in said and "secret create" in said


def test_variable_that_a_secret_gives(ready, hub):
    (ready.folder / "requirements.txt").write_text("--extra-index-url https://${INDEX_KEY}@pip.example/simple\nsix\n")
    ready.run("secret", "create", "index", "--INDEX_KEY=a-long-secret-value", check=0)
    ready.run("deployer", "update", "hf", "--secret", "index", check=0)
    ready.deploy(check=0)
    space = hub.space(SPACE)
    assert "--mount=type=secret,id=INDEX_KEY" in space.read("Dockerfile").decode()
    for path in space.state()["files"]:
        assert b"a-long-secret-value" not in space.read(path), path


@pytest.mark.parametrize("name, text", [
    ("environment.yml", "name: x\ndependencies: [python=3.11, numpy]\n"),
    ("Pipfile", "[packages]\nnumpy = '*'\n"),
    ("setup.py", "from setuptools import setup\nsetup(name='x', install_requires=['numpy'])\n"),
    ("setup.cfg", "[options]\ninstall_requires =\n  numpy\n"),
])
def test_lists_that_are_not_read(ready, hub, name, text):
    (ready.folder / name).write_text(text)
    said = refused(ready, hub)
    assert name in said and "requirements.txt" in said


# -- uv ----------------------------------------------------------------------------------------

PYPI = 'source = { registry = "https://pypi.org/simple" }'


def package(name, version, source=PYPI, more=""):
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\n{source}\n{more}\n'


def wheel(name, version, tags, host="files.corp.example"):
    return f'{{ url = "https://{host}/{name}-{version}-{tags}.whl", hash = "sha256:{"0" * 64}", size = 1 }}'


def uv_project(folder, dependencies, sources, packages=None, tool=""):
    """A pyproject.toml, and with packages a uv.lock, as uv writes it."""
    names = ", ".join(f'"{name}"' for name in dependencies)
    lines = "".join(f"{name} = {source}\n" for name, source in sources.items())
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = [{names}]\n'
        + (f"[tool.uv.sources]\n{lines}" if sources else "") + tool)
    if packages is not None:
        wanted = ", ".join(f'{{ name = "{name}" }}' for name in dependencies)
        (folder / "uv.lock").write_text(
            'version = 1\nrevision = 3\nrequires-python = ">=3.9"\n\n'
            + package("app", "1", 'source = { virtual = "." }', f"dependencies = [{wanted}]") + "".join(packages))


def test_uv_says_what_is_installed(ready, hub):
    (ready.folder / "libs/inner").mkdir(parents=True)
    (ready.folder / "libs/inner/pyproject.toml").write_text('[project]\nname = "inner"\nversion = "1"\n')
    commit = "0123456789abcdef0123456789abcdef01234567"
    uv_project(ready.folder, ["corelib", "six", "inner", "direct"],
               {"corelib": '{ git = "https://git.example/corelib", tag = "v1" }', "inner": '{ path = "libs/inner" }',
                "direct": '{ url = "https://files.example/direct-2-py3-none-any.whl" }'},
               [package("corelib", "1.2", f'source = {{ git = "https://git.example/corelib?tag=v1#{commit}" }}',
                        'dependencies = [{ name = "idna" }]'),
                package("six", "1.17.0"), package("idna", "3.10"),
                package("inner", "1", 'source = { directory = "libs/inner" }'),
                package("direct", "2", 'source = { url = "https://files.example/direct-2-py3-none-any.whl" }',
                        f'wheels = [{{ url = "https://files.example/direct-2-py3-none-any.whl", hash = "sha256:{"0" * 64}" }}]')])
    lock = (ready.folder / "uv.lock").read_text()
    ready.deploy(check=0)
    assert sorted(requirements(hub).splitlines()) == [
        f"corelib @ git+https://git.example/corelib@{commit}",
        "direct @ https://files.example/direct-2-py3-none-any.whl", "idna==3.10", "pydantic>=2", "six==1.17.0"]
    assert "command -v git" in hub.space(SPACE).read("Dockerfile").decode()
    assert (ready.folder / "uv.lock").read_text() == lock


def test_sources_without_a_lock_are_resolved_and_no_lock_is_written(ready, hub):
    (ready.folder / "libs/inner").mkdir(parents=True)
    (ready.folder / "libs/inner/pyproject.toml").write_text('[project]\nname = "inner"\nversion = "1"\n')
    uv_project(ready.folder, ["inner"], {"inner": '{ path = "libs/inner" }'})
    ready.deploy(check=0)
    assert requirements(hub) == "pydantic>=2\n"
    assert not (ready.folder / "uv.lock").exists()


def test_package_of_another_index_has_the_address_of_its_file(ready, hub):
    wheels = [wheel("corelib", "1.2+cpu", tags) for tags in (
        "cp38-cp38-manylinux_2_17_x86_64", "cp311-cp311-macosx_11_0_arm64", "cp311-cp311-musllinux_1_2_x86_64",
        "py3-none-any", "cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64", "cp311-cp311-manylinux_2_28_aarch64")]
    uv_project(ready.folder, ["corelib", "six"], {"corelib": '{ index = "corp" }'},
               [package("corelib", "1.2+cpu", 'source = { registry = "https://pip.corp.example/simple" }',
                        "wheels = [\n" + ",\n".join(wheels) + "\n]"), package("six", "1.17.0")],
               '[[tool.uv.index]]\nname = "corp"\nurl = "https://pip.corp.example/simple"\nexplicit = true\n')
    ready.deploy(check=0)
    assert requirements(hub) == (
        "corelib @ https://files.corp.example/corelib-1.2+cpu-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
        f"#sha256={'0' * 64}\nsix==1.17.0\npydantic>=2\n")


def test_file_of_another_index_that_does_not_fit(ready, hub):
    uv_project(ready.folder, ["corelib", "six"], {"corelib": '{ index = "corp" }'},
               [package("corelib", "1.2", 'source = { registry = "https://pip.corp.example/simple" }',
                        f'wheels = [{wheel("corelib", "1.2", "cp311-cp311-win_amd64")}]'), package("six", "1.17.0")],
               '[[tool.uv.index]]\nname = "corp"\nurl = "https://pip.corp.example/simple"\n')
    said = refused(ready, hub)
    assert "corelib==1.2 comes from the index https://pip.corp.example/simple" in said


def test_one_index_for_everything(ready, hub):
    mirror = 'source = { registry = "https://mirror.example/simple" }'
    uv_project(ready.folder, ["six"], {}, [package("six", "1.17.0", mirror)],
               '[[tool.uv.index]]\nname = "m"\nurl = "https://mirror.example/simple"\ndefault = true\n')
    ready.deploy(check=0)
    assert requirements(hub) == "--index-url https://mirror.example/simple\nsix==1.17.0\npydantic>=2\n"


def test_an_index_without_a_lock(ready, hub):
    uv_project(ready.folder, ["corelib"], {"corelib": '{ index = "corp" }'}, None,
               '[[tool.uv.index]]\nname = "corp"\nurl = "https://pip.corp.example/simple"\n')
    said = refused(ready, hub)
    assert "'corp'" in said and "uv lock" in said


def test_path_outside_of_the_root(ready, hub):
    outside = ready.folder.parent / "corelib"
    outside.mkdir()
    (outside / "pyproject.toml").write_text('[project]\nname = "corelib"\nversion = "1"\n')
    uv_project(ready.folder, ["corelib"], {"corelib": '{ path = "../corelib", editable = true }'},
               [package("corelib", "1", 'source = { editable = "../corelib" }')])
    said = refused(ready, hub)
    assert "../corelib' is a path on this machine" in said


@pytest.fixture
def no_uv(ready, root, tmp_path):
    """The interpreter of an environment that has the packages but no uv, and none in PATH."""
    folder = tmp_path / "no-uv"
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text((root / ".venv/pyvenv.cfg").read_text())
    (folder / "lib").symlink_to((root / ".venv/lib").resolve())
    (folder / "bin/python").symlink_to((root / ".venv/bin/python").resolve())
    ready.python = str(folder / "bin/python")
    ready.env["PATH"] = os.pathsep.join(
        part for part in ready.env["PATH"].split(os.pathsep) if not os.path.exists(os.path.join(part, "uv")))
    return ready


@pytest.mark.parametrize("source", [
    '{ git = "https://git.example/corelib" }', '{ path = "libs/corelib" }', '{ workspace = true }',
    '{ url = "https://files.example/corelib-1-py3-none-any.whl" }', '{ index = "corp" }',
    '[{ git = "https://git.example/corelib", marker = "sys_platform == \'linux\'" }]'])
def test_sources_without_uv(no_uv, hub, source):
    uv_project(no_uv.folder, ["corelib"], {"corelib": source})
    said = refused(no_uv, hub)
    assert "'corelib' (" in said and "uv is not installed" in said and "requirements.txt" in said


def test_a_lock_without_uv(no_uv, hub):
    uv_project(no_uv.folder, ["six"], {}, [package("six", "1.17.0")])
    done = no_uv.deploy(check=0)
    assert requirements(hub) == "six\npydantic>=2\n"
    assert "uv.lock is not followed" in done.stderr


# -- programs ----------------------------------------------------------------------------------

@pytest.fixture
def foreign_runtime(build_dir, tmp_path):
    """A runtime folder as on an ARM laptop: {name: file}."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    (folder / "python").symlink_to((build_dir / "python").resolve())
    for name in ("kourou-serve", "kourou-native"):
        data = bytearray((build_dir / name).read_bytes())
        assert data[18:20] == b"\x3e\x00"
        data[18] = 183
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o755)
    return folder


def test_programs_of_another_processor(ready, hub, build_dir, foreign_runtime):
    env = {"KOUROU_RUNTIME_DIR": str(foreign_runtime)}
    said = refused(ready, hub, env=env)
    right = foreign_runtime / "linux-amd64/kourou-serve"
    assert "made for arm64" in said and "linux/amd64" in said and str(right) in said
    right.parent.mkdir()
    shutil.copy(build_dir / "kourou-serve", right)
    ready.deploy(check=0, env=env)
    assert hub.space(SPACE).state()["stage"] == "RUNNING"
    sent = hub.space(SPACE).state()["files"]
    assert ".kourou/bin/kourou-serve" in sent


ENGINE = '''#!/bin/sh
case "$*" in
  *Server.Arch*) echo arm64 ;;
  version*) echo "27.0 27.0" ;;
  *build*--tag=*) echo "$@" >>"$0.log"; echo "nothing is built here" >&2; exit 1 ;;
  *) exit 0 ;;
esac
'''


@pytest.fixture
def arm_engine(ready, tmp_path):
    """A docker program whose engine is an ARM machine; the file it writes builds to."""
    program = tmp_path / "engine" / "docker"
    program.parent.mkdir()
    program.write_text(ENGINE)
    program.chmod(0o755)
    ready.env["PATH"] = f"{program.parent}:{ready.env['PATH']}"
    return program.with_name("docker.log")


def test_an_engine_of_another_processor(ready, arm_engine):
    ready.run("deployer", "register", "engine", "--flavor=docker", check=0)
    ready.run("stack", "register", "engine", "-D", "engine", "-a", "default", "-o", "default", "--set", check=0)
    done = ready.deploy(check=1)
    assert "kourou-serve is made for amd64, and what it is sent to is linux/arm64" in done.stderr
    assert "linux-arm64/kourou-serve" in done.stderr and not arm_engine.exists()
    assert json.loads(ready.run("deployment", "list", "-o", "json", check=0).stdout)["items"] == []


def test_what_is_pushed_is_for_the_processor_of_spaces(ready, arm_engine):
    ready.run("container-registry", "register", "reg", "--flavor=default", "--uri=127.0.0.1:9/x", check=0)
    ready.run("image-builder", "register", "engine", "--flavor=local", check=0)
    ready.run("stack", "update", "hf", "-c", "reg", "-i", "engine", check=0)
    done = ready.deploy(check=1)
    assert "nothing is built here" in done.stderr
    assert "--platform=linux/amd64" in arm_engine.read_text().split()
