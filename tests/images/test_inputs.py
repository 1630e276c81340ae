# SPDX-License-Identifier: Apache-2.0
"""Nothing says "nothing has changed" when something has: base images whose tag moved, wheels of this machine."""
import json
import subprocess

import pytest

from tests.images.test_docker import NETWORK
from tests.oci import images as made
from tests.support import baseimage

SAME = "nothing that goes into the image has changed"


def push_base(registry, name, label):
    """The base of the tests under a tag of its own, with a variable that tells its versions apart."""
    folder, (repository, _, tag) = baseimage.image(), name.partition(":")
    manifest, config = (json.loads((folder / f"{part}.json").read_text()) for part in ("manifest", "config"))
    config["config"]["Env"].append(f"BASE={label}")
    text = json.dumps(config).encode()
    manifest["config"].update(size=len(text), digest=made.digest_of(text))
    registry.push_blob(repository, made.digest_of(text), text)
    for number, layer in enumerate(manifest["layers"]):
        registry.push_blob(repository, layer["digest"], folder / f"layer-{number}.tar.gz")
    registry.push_manifest(repository, tag, manifest)
    return f"{registry.host}/{name}"


def environment(project):
    api = project.images.engine.api
    one = project.images.engine.containers(f"kourou.deployment.id={project.row()['id']}")[0]
    return api("GET", f"/containers/{one['Id']}/json")["Config"]["Env"]


@pytest.mark.parametrize("builder", ["daemonless", "local"])
def test_the_tag_of_the_base_moved(project, builder):
    registry = project.images.registry
    base = push_base(registry, f"moving/{builder}:1", "first")
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=project.registry(registry), builder=builder)
    config = project.config(docker={"parent_image": base, "target_repository": f"moved/{builder}"})
    project.deploy(config=config, check=0)
    assert "BASE=first" in environment(project)
    assert SAME in project.deploy(config=config, check=0).stderr
    push_base(registry, f"moving/{builder}:1", "second")
    assert SAME not in project.deploy(config=config, check=0).stderr
    assert "BASE=second" in environment(project)


def test_a_wheel_of_this_machine_was_built_again(project, tmp_path):
    registry, wheels = project.images.registry, tmp_path / "wheels"
    wheels.mkdir()
    subprocess.run(["tar", "-xzf", baseimage.image() / "layer-1.tar.gz", "-C", wheels, "--strip-components=2", "opt/wheels"],
                   check=True)
    made.wheel(wheels, "tiny", body="VALUE = 'first'\n", entry=False)
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=project.registry(registry), builder="daemonless")
    code = project.folder / "my_module.py"
    text = code.read_text()
    assert '    return f"Hello, {name}!"\n' in text
    code.write_text(text.replace("    return f\"Hello", "    import tiny\n    return f\"{tiny.VALUE}"))
    config = project.config(docker={
        "parent_image": f"{registry.host}/library/python:3.11-slim", "target_repository": "wheels", "requirements": ["tiny"],
        "python_package_installer_args": {"find-links": str(wheels), "no-index": None}})
    project.deploy(config=config, check=0)
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "first, Ada!"
    assert SAME in project.deploy(config=config, check=0).stderr
    made.wheel(wheels, "tiny", body="VALUE = 'other'\n", entry=False)
    assert SAME not in project.deploy(config=config, check=0).stderr
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "other, Ada!"
