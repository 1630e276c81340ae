# SPDX-License-Identifier: Apache-2.0
"""After a change of code only the code layer travels: counted at the socket, not by what the program says."""
import json
import re

import pytest

from tests.support.counting import CountingProxy

ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
HEADERS = 16 * 1024  # request heads of one push
ANSWERS = 32 * 1024  # what the registry says to them
BASE = "library/python:3.11-slim"


@pytest.fixture
def line(images):
    with CountingProxy(images.registry.port) as proxy:
        yield proxy


def manifest_of(registry, repository, reference):
    status, _, text = registry.request("GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": ACCEPT})
    assert status == 200, text
    return json.loads(text), len(text)


def blobs_of(registry, image):
    """The image's layers {digest: size}, its config's digest and the bytes of config and manifest."""
    repository, _, digest = image.partition("/")[2].partition("@")
    manifest, size = manifest_of(registry, repository, digest)
    layers = {layer["digest"]: layer["size"] for layer in manifest["layers"]}
    return layers, manifest["config"]["digest"], manifest["config"]["size"] + size


def uploaded(line):
    """Digests of the blobs whose contents were sent."""
    found = (re.search(r"[?&]digest=(sha256%3A|sha256:)([0-9a-f]{64})", path) for method, path in line.requests()
             if method in ("POST", "PUT") and "mount=" not in path)
    return {f"sha256:{one[2]}" for one in found if one}


def test_only_the_code_layer_is_on_the_line(project, line, hub):
    """Two builds with requirements; between them one word of the code changed."""
    registry = project.images.registry
    project.env["HF_ENDPOINT"] = hub.url
    project.run("container-registry", "register", "counted", "--flavor=default", f"--uri={line.host}", check=0)
    project.stack("huggingface", "--token=hf_test_alice", registry="counted", builder="daemonless")
    config = project.config(docker={"parent_image": f"{line.host}/{BASE}", "target_repository": "counted",
                                    "requirements": ["typing_extensions"]})
    project.deploy(config=config, check=0)
    (first,) = project.builds()
    before, _, _ = blobs_of(registry, first["image"])
    sent = uploaded(line)
    base = {layer["digest"] for layer in manifest_of(registry, *BASE.split(":"))[0]["layers"]}
    assert base <= set(before) and len(before) > len(base) + 2, "base, runtime, requirements and code are layers"
    assert set(before) - base <= sent and not base & sent, "the line sees what is uploaded; the base was mounted"

    project.change()
    line.reset()
    project.deploy(config=config, check=0)
    image = next(row["image"] for row in project.builds() if row["id"] != first["id"])
    after, settings, small = blobs_of(registry, image)
    new = {digest: size for digest, size in after.items() if digest not in before}
    assert new and len(after) == len(before)
    sent = uploaded(line)
    print(f"{line.sent} bytes to the registry, {line.received} from it; code layer {sum(new.values())}, "
          f"config and manifest {small}; {len(line.requests())} calls")
    assert sent == {*new, settings}, "uploaded: the code layer and the image's config"
    # The public check asks for the first byte of each layer, and gets no more.
    assert line.received <= ANSWERS < min(before[digest] for digest in base)
    code = sum(new.values())
    assert code < 20_000
    assert code + small <= line.sent <= code + small + HEADERS
