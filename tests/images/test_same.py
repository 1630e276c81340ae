# SPDX-License-Identifier: Apache-2.0
"""One project by both builders is the same container: environment, ids, files, owners and modes.

Differences with a reason, which are left out of the comparison: byte code (the builder without Docker compiles what its own Python can, the
other all); requirements.txt and constraints.txt (the installer of the one runs in the image); the journal of runs, which the app writes; the
name of the group (the one writes /etc/group, the deployer the user's line of /etc/passwd only).
"""
import io
import json
import os
import tarfile

import pytest

from tests.images.test_docker import NETWORK, container

ALL = os.environ.get("KOUROU_TEST_ALL") == "1"
FOLDERS = ("/app", "/opt/kourou", "/home/kourou", "/var/lib/kourou")

# name, docker settings, files of the project
PROJECTS = [
    ("plain", {}, {}),
    ("newlines", {"environment": {"TWO": "a\nb", "TAB": "a\tb", "DOLLAR": "$HOME", "QUOTE": 'a"b\\c'},
                  "runtime_environment": {"LATE": "x\ny", "PLAIN": "1"}}, {}),
    ("ignored", {}, {".dockerignore": "*.tmp\nsub/*\n!sub/keep\n", "x.tmp": "x", "sub/gone": "x", "sub/keep": "x"}),
    ("dockerfile", {}, {"Dockerfile": "FROM scratch\n", ".gitattributes": "* text\n", "deep/Dockerfile": "FROM scratch\n"}),
    ("user", {"user": "1234"}, {"data/model.bin": "x" * 1000, "Dockerfile": "FROM scratch\n", ".dockerignore": "*.tmp\n",
                               "x.tmp": "x", "run.sh": "#!/bin/sh\necho hi\n"}),
    ("group", {"user": "1234:4321"}, {}),
    ("programs", {}, {"run.sh": "#!/bin/sh\necho hi\n", "data/a b.txt": "x", "data/ä.txt": "x"}),
    ("names", {}, {"-dash": "x", "a'quote": "x", "sub/.hidden": "x", "empty": ""}),
    ("home", {"environment": {"HOME": "/tmp", "USER": "somebody", "PYTHONUNBUFFERED": "0"}}, {}),
    ("requirements", {"requirements": ["pydantic>=2.7"]}, {}),
] + [(f"deep{n}", {"environment": {f"N{n}": str(n)}}, {f"{'d/' * n}file{n}": "x" * n, "run.sh": "#!/bin/sh\n"})
     for n in range(1, 11)]


def tree(api, identity, folder):
    """{path: (kind, mode, uid, gid, content)} of a folder of a container."""
    from tests.support.dockerd import UnixConnection
    connection = UnixConnection(str(api.__self__.socket))
    connection.request("GET", f"/containers/{identity}/archive?path={folder}")
    answer = connection.getresponse()
    found = {}
    with tarfile.open(fileobj=io.BytesIO(answer.read())) as archive:
        for member in archive:
            if "__pycache__" in member.name or "runs.db" in member.name or member.name in (
                    "kourou/requirements.txt", "kourou/constraints.txt"):
                continue
            body = archive.extractfile(member).read() if member.isreg() else member.linkname
            found[member.name] = (member.type, oct(member.mode), member.uid, member.gid, body)
    connection.close()
    return found


def look(project):
    one, api = container(project), project.images.engine.api
    state = {"User": one["Config"]["User"], "WorkingDir": one["Config"]["WorkingDir"],
             "Env": sorted(v for v in one["Config"]["Env"])}
    made = api("POST", f"/containers/{one['Id']}/exec", {"AttachStdout": True, "Cmd": [
        "sh", "-c", "id -u; id -g; id -G; getent passwd $(id -u); tr '\\0' '\\n' < /proc/1/environ | sort"], "Tty": True})
    state["inside"] = api("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": True}).replace("\r", "").split("\n")
    state["inside"] = [line for line in state["inside"] if not line.startswith(("HOSTNAME=", "KOUROU_ENV_FILE="))]
    for folder in FOLDERS:
        for path, what in tree(api, one["Id"], folder).items():
            state[f"{folder}: {path}"] = what
    return state


@pytest.mark.parametrize("name,docker,files", PROJECTS if ALL else [PROJECTS[1], PROJECTS[4]], ids=lambda v: v if isinstance(v, str) else "")
def test_both_builders_make_the_same_container(project, name, docker, files):
    for path, text in files.items():
        (project.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / path).write_text(text)
        if path.endswith(".sh"):
            (project.folder / path).chmod(0o755)
    registry = project.registry(project.images.registry)
    seen = {}
    for builder in ("local", "daemonless"):
        project.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=registry, builder=builder, name=builder)
        config = project.config(docker={
            "parent_image": f"{project.images.registry.host}/library/python:3.11-slim",
            "target_repository": f"same/{name}-{builder}", **docker})
        project.deploy(config=config, check=0)
        seen[builder] = look(project)
        project.run("deployment", "delete", "greeter", "--yes", check=0)
    local, other = seen["local"], seen["daemonless"]
    different = {key: (local.get(key), other.get(key)) for key in {*local, *other} if local.get(key) != other.get(key)}
    if different:
        pytest.fail("\n".join(f"{key}: {str(a)[:300]} / {str(b)[:300]}" for key, (a, b) in sorted(different.items())[:12]))
