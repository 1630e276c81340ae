# SPDX-License-Identifier: Apache-2.0
"""Registries with certificates of an authority of one's own: the registry's ca_file."""
import hashlib
import json

import pytest

from tests.oci import images
from tests.oci.helpers import Authority, Redirecting, TlsRegistry, TokenService, token_config
from tests.support.registry import Registry


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(authority, tmp_path_factory):
    with TlsRegistry(authority, tmp_path_factory.mktemp("secured")) as registry:
        yield registry


@pytest.fixture
def payload(tmp_path):
    path = tmp_path / "payload"
    path.write_bytes(hashlib.sha512(b"tls").digest() * 3000)
    return str(path)


def test_push_needs_the_authority(tool, secured, authority, payload):
    refused = tool("push-file", ok=False, target=f"{secured.name}/one/x", file=payload)
    assert refused["code"] == "network" and "certificate" in refused["error"], refused
    assert "ca_file" in refused["hint"] and secured.name in refused["hint"]
    done = tool("push-file", target=f"{secured.name}/one/x", file=payload, auth={"ca_file": authority.ca})
    assert secured.request("HEAD", f"/v2/one/x/blobs/{done['digest']}")[0] == 200 and done["bytes_sent"] == 192_000


def test_in_pieces_and_on_this_machine(tool, secured, authority, payload):
    """An address of this machine is plain HTTP unless there is a ca_file."""
    refused = tool("push-file", ok=False, target=f"{secured.host}/two/x", file=payload)
    assert refused["status"] == 400 and "if 127.0.0.1" in refused["hint"] and "ca_file" in refused["hint"], refused
    done = tool("push-file", target=f"{secured.host}/two/x", file=payload, chunk=50_000, auth={"ca_file": authority.ca})
    assert secured.request("HEAD", f"/v2/two/x/blobs/{done['digest']}")[0] == 200


def test_another_authority_does_not_help(tool, secured, payload, tmp_path):
    other = Authority(tmp_path)
    refused = tool("push-file", ok=False, target=f"{secured.name}/one/y", file=payload, auth={"ca_file": other.ca})
    assert refused["code"] == "network" and f"'{other.ca}'" in refused["hint"] and "vouch" in refused["hint"]
    missing = tool("push-file", ok=False, target=f"{secured.name}/one/y", file=payload, auth={"ca_file": "/nowhere/ca.pem"})
    assert "ca_file '/nowhere/ca.pem'" in missing["error"] and secured.name in missing["error"]
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    refused = tool("push-file", ok=False, target=f"{secured.name}/one/y", file=payload, auth={"ca_file": str(broken)})
    assert str(broken) in refused["error"] + refused["hint"], refused


def test_the_check_for_strangers(tool, secured, authority):
    digest = images.push(secured, "pub/x:1", [["a"], ["b"]])
    assert "ca_file" in tool("check", ok=False, image=f"{secured.name}/pub/x:1")["hint"]
    assert tool("check", image=f"{secured.name}/pub/x:1", auth={"ca_file": authority.ca})["digest"] == digest


def test_its_token_service_too(tool, authority, payload, tmp_path):
    service = TokenService(tmp_path, tls=authority)
    try:
        with TlsRegistry(authority, tmp_path, token_config(service)) as registry:
            auth = {"user": "ann", "password": service.password, "ca_file": authority.ca}
            done = tool("push-file", target=f"{registry.name}/team/x", file=payload, auth=auth)
            assert service.asked[-1] == (["repository:team/x:pull,push"], True) and done["bytes_sent"] == 192_000
    finally:
        service.close()


def test_where_it_sends_us_too(tool, secured, authority):
    digest = images.push(secured, "away/x:1", [["a"]])
    front = Redirecting(authority, f"https://{secured.name}")
    try:
        got = tool("get-image", image=f"{front.name}/away/x:1", auth={"ca_file": authority.ca})
        assert got["digest"] == digest and any("/blobs/" in path for path in front.sent_on)
        refused = tool("get-image", ok=False, image=f"{front.name}/away/x:1")
        assert "ca_file" in refused["hint"]
    finally:
        front.close()


def test_without_encryption_only_when_said(tool, payload):
    """A registry that is not known to be this machine is spoken to with TLS unless `insecure` is set."""
    with Registry() as plain:
        target = f"registry.localhost:{plain.port}/plain/x"
        refused = tool("push-file", ok=False, target=target, file=payload)
        assert refused["code"] == "network" and f"registry.localhost:{plain.port}" in refused["error"], refused
        assert plain.repositories() == []
        done = tool("push-file", target=target, file=payload, auth={"plain_http": True})
        assert plain.request("HEAD", f"/v2/plain/x/blobs/{done['digest']}")[0] == 200


def test_the_attribute_of_a_component(kourou, secured, authority):
    """What `container-registry register --ca_file` says reaches the client."""
    images.push(secured, "attr/x:1", [["a"]])
    image = f"{secured.name}/attr/x:1"
    kourou("container-registry", "register", "bare", "--flavor=default", f"--uri={secured.name}", check=0)
    done = kourou("container-registry", "check", "bare", "--image", image, "-o", "json", check=1)
    assert {row["status"] for row in json.loads(done.stdout)} == {"fail"} and "ca_file" in done.stdout, done.stdout
    kourou("container-registry", "register", "own", "--flavor=default", f"--uri={secured.name}", f"--ca_file={authority.ca}",
           check=0)
    done = kourou("container-registry", "check", "own", "--image", image, "-o", "json", check=0)
    assert {row["status"] for row in json.loads(done.stdout)} == {"ok"}, done.stdout
