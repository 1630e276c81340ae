# SPDX-License-Identifier: Apache-2.0
"""Ports, keys, environment, secrets, configuration files, Python interpreters of local deployments."""
import json
import os
import pathlib
import socket
import stat
import subprocess
import sys

from tests.conftest import ROOT
from tests.support.ports import free_port

from .conftest import MODULE, wait_for

READS_ENVIRONMENT = '''\
import os
from kourou import pipeline, step


@step
def look(name: str) -> str:
    return os.environ.get(name, "unset")


@pipeline(ARGUMENTS)
def my_pipeline(name: str = "WHO") -> str:
    return look(name)
'''


def test_wanted_port_is_taken(project):
    port = free_port()
    project.deploy(*project.settings(port=port))
    assert project.row()["url"] == f"http://127.0.0.1:{port}"
    project.run("deployment", "deprovision", "app", "--yes")
    project.run("deployment", "provision", "app")
    assert project.row()["url"] == f"http://127.0.0.1:{port}"


def test_busy_port_is_an_error_that_names_it(project):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        failed = project.deploy(*project.settings(port=port, allocate_port_if_busy=False), check=1)
        assert f"port {port} on 127.0.0.1 is in use by pid {os.getpid()} (" in failed.stderr
        assert len(failed.stderr.strip().splitlines()[-2:]) == 2
        assert project.rows("deployment") == [] and project.rows("pipeline") == [] and project.servers() == {}


def test_busy_port_gives_another_one(project):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = project.deploy(*project.settings(port=port))
        assert f"port {port} is in use by pid {os.getpid()}" in done.stderr
        assert project.output() == "hello world"


def test_port_range(project):
    low = free_port()
    project.deploy(*project.settings(port_range=[low, low]))
    assert project.row()["url"].endswith(f":{low}")
    failed = project.deploy(*project.settings(port_range=[low, low]), name="other", check=1)
    assert f"no free port from {low} to {low}" in failed.stderr


def test_another_port_means_a_move(project):
    one, two = free_port(), free_port()
    project.deploy(*project.settings(port=one))
    project.deploy("--update", *project.settings(port=two))
    assert project.row()["url"].endswith(f":{two}")
    wait_for(lambda: len(project.servers()) == 1, 40, "one server")
    assert project.output() == "hello world"


def test_generated_key_protects_and_is_kept(project):
    project.deploy(*project.settings(generate_auth_key=True))
    row = json.loads(project.run("deployment", "describe", "app", "--show-secret", "--output", "json").stdout)
    key = row["auth_key"]
    assert len(key) == 32 and key.isalnum()
    assert project.row()["auth_key"] == key[:8] + "***"
    body, kind = b'{"parameters":{}}', {"Content-Type": "application/json"}
    assert project.get("/invoke", headers=kind, body=body)[0] == 401
    assert project.get("/invoke", headers={**kind, "Authorization": f"Bearer {key}"}, body=body)[0] == 200
    assert project.output() == "hello world"
    project.write(MODULE.replace("hello", "good day"))
    project.deploy("--update", *project.settings(generate_auth_key=True))
    again = json.loads(project.run("deployment", "describe", "app", "--show-secret", "--output", "json").stdout)
    assert again["auth_key"] == key and project.output() == "good day world"
    project.deploy("--update")
    assert project.row()["auth_key"] is None
    assert project.get("/invoke", headers=kind, body=body)[0] == 200


def test_key_by_reference_is_resolved_for_the_call_only(project):
    project.run("secret", "create", "mine", "--key=the-very-secret-key")
    project.deploy(*project.settings(auth_key="{{mine.key}}"))
    assert project.output() == "hello world"
    body, kind = b'{"parameters":{}}', {"Content-Type": "application/json"}
    assert project.get("/invoke", headers={**kind, "X-API-Key": "the-very-secret-key"}, body=body)[0] == 200
    assert project.get("/invoke", headers=kind, body=body)[0] == 401
    for path in (project.home / "kourou").rglob("*"):
        if path.is_file():
            assert b"the-very-secret-key" not in path.read_bytes(), path


def test_missing_secret_leaves_everything_as_it_was(project):
    failed = project.deploy(*project.settings(auth_key="{{nobody.key}}"), check=1)
    assert "nobody" in failed.stderr and len(failed.stderr.strip().splitlines()) <= 5
    assert project.rows("deployment") == [] and project.servers() == {}


def test_environment_of_component_stack_and_pipeline(project):
    project.write(READS_ENVIRONMENT.replace("ARGUMENTS", 'environment={"C": "pipeline"}'))
    project.run("deployer", "update", "default", "--env", "A=component", "--env", "B=component", "--env", "C=component")
    project.run("stack", "update", "default", "--env", "B=stack", "--env", "C=stack")
    project.deploy()
    values = [project.output("app", f"--name={name}") for name in "ABC"]
    assert values == ["component", "stack", "pipeline"]


def test_secrets_reach_the_app_and_nothing_else(project):
    project.run("secret", "create", "keys", "--API_KEY=sesame-open-sesame")
    project.write(READS_ENVIRONMENT.replace("ARGUMENTS", 'secrets=["keys"]'))
    project.deploy()
    assert project.output("app", "--name=API_KEY") == "sesame-open-sesame"
    for pid, args in project.servers().items():
        assert "sesame-open-sesame" not in " ".join(args), pid
    for path in (project.home / "kourou").rglob("*"):
        if path.is_file():
            assert b"sesame-open-sesame" not in path.read_bytes(), path
    project.run("secret", "update", "keys", "--API_KEY=another-word-now")
    project.deploy()
    assert project.output("app", "--name=API_KEY") == "another-word-now"


def test_own_variables_stay_out(project):
    project.write(READS_ENVIRONMENT.replace("ARGUMENTS", ""))
    project.env["KOUROU_ENCRYPTION_KEY"] = "a passphrase of some length"
    project.deploy(*project.settings(auth_key="plain-key-of-the-app"))
    assert project.output("app", "--name=KOUROU_ENCRYPTION_KEY") == "unset"
    assert project.output("app", "--name=KOUROU_AUTH_KEY") == "unset"


def test_configuration_file(project):
    project.write("parameters:\n  name: ${WHO}\nsettings:\n  deployment:\n    app_title: Title of the file\n", "c.yaml")
    project.deploy("--config", "c.yaml", env={"WHO": "yaml"})
    assert project.output() == "hello yaml"
    assert b"Title of the file" in project.get("/openapi.json")[1]
    missing = project.deploy("--config", "nothing.yaml", check=None)
    assert missing.returncode != 0 and "nothing.yaml" in missing.stderr


RUN = b'{"parameters":{}}'


def test_other_web_sites_are_let_in_by_settings_only(project):
    foreign = {"Origin": "https://a.example", "Content-Type": "application/json"}
    project.deploy()
    assert project.get("/invoke", body=RUN, headers=foreign)[0] == 403
    assert project.get("/invoke", body=RUN, headers={"Content-Type": "application/json"})[0] == 200
    project.write(json.dumps({"settings": {"deployment": {"cors": {"allow_origins": ["https://a.example"]}}}}), "config.yaml")
    project.deploy("--config", "config.yaml", "--update")
    assert project.get("/invoke", body=RUN, headers=foreign)[0] == 200
    assert project.get("/invoke", body=RUN, headers={**foreign, "Origin": "https://b.example"})[0] == 403
    project.write(MODULE.replace("from kourou import pipeline, step", """from kourou import CORSConfig, DeploymentSettings, pipeline, step"""
                                 ).replace("@pipeline", '@pipeline(settings={"deployment": DeploymentSettings(cors=CORSConfig())})'))
    project.deploy("--update")
    assert project.get("/invoke", body=RUN, headers={**foreign, "Origin": "https://b.example"})[0] == 200


def test_files_are_found_relative_to_the_source_root(project):
    project.write("content of the file", "data.txt")
    project.write('from kourou import pipeline, step\n\n\n@step\ndef read() -> str:\n    return open("data.txt").read()\n\n\n'
                  '@pipeline\ndef my_pipeline() -> str:\n    return read()\n')
    project.deploy()
    assert project.output() == "content of the file"


def fake_python(folder, answer):
    """A program that passes for an interpreter: it answers `check` and nothing else."""
    path = pathlib.Path(folder) / "python-fake"
    path.write_text(f"#!/bin/sh\ncase \"$2\" in check) echo '{answer}' ;; *) exit 1 ;; esac\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_python_that_is_too_old(project):
    old = fake_python(project.home, json.dumps({"version": "3.8.2", "pydantic": "2.0", "prefix": "/x"}))
    failed = project.deploy("--python", old, check=1)
    assert "3.8.2" in failed.stderr and "3.9" in failed.stderr and "--python" in failed.stderr
    assert project.rows("pipeline") == []


def test_python_without_pydantic(project):
    env = project.home / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    failed = project.deploy("--python", env, check=1)
    assert "has no pydantic; pipelines need pydantic 2" in failed.stderr
    assert f"{env}/bin/python was used: given by --python" in failed.stderr
    assert f"{sys.prefix} has 'pydantic': pass --python {sys.prefix}" in failed.stderr


def test_no_such_python(project):
    failed = project.deploy("--python", "/nowhere/python", check=1)
    assert "no Python at '/nowhere/python'" in failed.stderr


def test_venv_of_the_source_root_is_found(project):
    del project.env["VIRTUAL_ENV"]
    (project.folder / ".venv").symlink_to(ROOT / ".venv")
    project.deploy()
    assert project.row()["metadata"]["live"]["pid"] in project.servers()
    [args] = project.servers().values()
    assert args[args.index("--python") + 1] == str(project.folder / ".venv/bin/python")


def test_bad_sources(project):
    project.write("from kourou import pipeline\n\nnumber = 3\n\n\ndef plain():\n    pass\n\n\nimport missing_thing_xyz\n", "broken.py")
    project.write("number = 3\n", "other.py")
    cases = {"nowhere.my_pipeline": "nowhere", "my_module.no_such": "no_such", "other.number": "not a pipeline",
             "broken.plain": "missing_thing_xyz"}
    for source, words in cases.items():
        failed = project.run("pipeline", "deploy", "--name", "app", source, check=1)
        assert words in failed.stderr, failed.stderr
    assert project.rows("deployment") == [] and project.rows("pipeline") == []


def test_unknown_setting(project):
    failed = project.deploy(*project.settings(prot=8000), check=1)
    assert "prot" in failed.stderr and "port" in failed.stderr and "config.yaml" in failed.stderr
    assert project.rows("deployment") == []


def test_a_flavor_that_cannot_deploy(project):
    project.run("deployer", "register", "d", "--flavor=docker")
    project.run("stack", "register", "s", "-D", "d", "-a", "default", "-o", "default")
    failed = project.deploy("--stack", "s", check=None)
    if failed.returncode != 0:  # the flavor may have come to this build
        assert "cannot deploy" in failed.stderr or "docker" in failed.stderr.lower()
    assert project.servers() == {}


def test_snapshots(project):
    project.run("pipeline", "snapshot", "create", "my_module.my_pipeline", "--name", "first")
    taken = project.run("pipeline", "snapshot", "create", "my_module.my_pipeline", "--name", "first", check=1)
    assert "'first'" in taken.stderr and "--replace" in taken.stderr
    project.run("pipeline", "snapshot", "create", "my_module.my_pipeline", "--name", "first", "--replace")
    project.run("pipeline", "snapshot", "deploy", "first", "--deployment", "app")
    assert project.output() == "hello world" and project.row()["snapshot"] == "first"
    used = project.run("pipeline", "snapshot", "delete", "first", "--yes", check=1)
    assert "used by the deployment 'app'" in used.stderr
    used = project.run("pipeline", "delete", "my_pipeline", "--yes", check=1)
    assert "used by the deployment 'app'" in used.stderr


def test_snapshot_with_a_plain_key_is_not_deployed_open(project):
    config = project.settings(auth_key="plain-key-of-the-app")
    project.run("pipeline", "snapshot", "create", "my_module.my_pipeline", "--name", "s", *config)
    failed = project.run("pipeline", "snapshot", "deploy", "s", "--deployment", "app", check=1)
    assert "auth_key in plain text" in failed.stderr and project.servers() == {}


def test_settings_without_an_effect_are_named(project):
    """Each once, with the reason; defaults are not."""
    project.write(READS_ENVIRONMENT.replace("ARGUMENTS", """settings={
        "resources": {"cpu_count": 2, "min_replicas": 1, "max_concurrency": 5},
        "docker": {"install_stack_requirements": False, "copy_files": True},
        "deployment": {"uvicorn_kwargs": {"access_log": False}, "max_queue": 7},
        "orchestrator.kubernetes": {"pod": 1}}""").replace("@step", "@step(settings={'resources': {'cpu_count': 1}})"))
    said = project.deploy("--dry-run").stderr
    for name, reason in (("cpu_count", "only the docker deployer takes it"), ("min_replicas", "each deployment is one server"),
                         ("max_concurrency", "thread_pool_size"), ("install_stack_requirements", "need no packages"),
                         ("uvicorn_kwargs", "not uvicorn"), ("orchestrator.kubernetes", "nothing of that kind"),
                         ("step.look", "set them on the pipeline")):
        found = [one for one in said.splitlines() if f"'{name}'" in one]
        assert len(found) == 1, said
        line = found[0]
        assert "no effect" in line and reason in line and "my_module.my_pipeline" in line, said
    assert "copy_files" not in said and "max_queue" not in said


def test_attributes_without_an_effect_are_named(project):
    said = project.run("artifact-store", "register", "bucket", "--flavor=s3", "--path=s3://bucket/folder").stderr
    assert "'path'" in said and "has no effect: artifacts are kept in a folder of this machine" in said
    described = json.loads(project.run("artifact-store", "flavor", "describe", "s3", "-o", "json").stdout)
    assert all("no effect" in row["help"] and row["reader"] is None for row in described["attributes"])
