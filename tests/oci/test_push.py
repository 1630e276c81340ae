# SPDX-License-Identifier: Apache-2.0
"""Blobs into real registries: what is there is not sent, cut lines are mended, tokens are renewed."""
import hashlib
import json
import os
import pathlib
import stat

import pytest

from tests.oci.helpers import CutProxy, HeldRelay, StrictRegistry, TokenRegistry, TokenService
from tests.support.registry import Registry

SIZE = 300_000


@pytest.fixture
def payload(tmp_path):
    def make(seed, size=SIZE):
        path = tmp_path / f"blob-{seed}"
        block = hashlib.sha512(str(seed).encode()).digest()
        path.write_bytes((block * (size // 64 + 1))[:size])
        return str(path)
    return make


def stored(registry, name, digest, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else None
    status, _, body = registry.request("GET", f"/v2/{name}/blobs/{digest}", headers=headers)
    return status == 200 and "sha256:" + hashlib.sha256(body).hexdigest() == digest


@pytest.mark.parametrize("chunk", [0, 100_000, 299_999, 300_000])
def test_a_blob_arrives_once(tool, registry, payload, chunk):
    target, file = f"{registry.host}/one/c{chunk}", payload(chunk)
    first = tool("push-file", target=target, file=file, chunk=chunk)
    assert stored(registry, f"one/c{chunk}", first["digest"]) and first["bytes_sent"] == SIZE
    again = tool("push-file", target=target, file=file, chunk=chunk)
    assert again["bytes_sent"] == 0 and again["there"] == 1


def test_an_empty_blob(tool, registry, payload):
    done = tool("push-file", target=f"{registry.host}/one/empty", file=payload("empty", 0))
    assert stored(registry, "one/empty", done["digest"])


def test_upload_cut_at_any_byte(tool, registry, payload):
    """The line breaks after n bytes of the client, for n all over the requests; the blob arrives whole each time."""
    proxy = CutProxy(registry.port)
    resumed = 0
    places = [0, 1, 50, 200, 400, 700, 900, 1200, 1201, 5_000, 64_000, 65_536, 100_000, 100_700, 150_000, 200_000, 250_000,
              299_000, 300_400, 300_900, 301_500, 302_500]
    try:
        for chunk in (0, 100_000):
            for number, place in enumerate(places):
                name = f"cut/c{chunk}-{number}"
                proxy.cut(place)
                done = tool("push-file", target=f"{proxy.host}/{name}", file=payload(f"{chunk}-{number}"), chunk=chunk)
                assert stored(registry, name, done["digest"]), (chunk, place)
                resumed += SIZE < done["bytes_sent"] < 2 * SIZE
        print(f"{proxy.cuts} cuts, {resumed} uploads resumed or restarted on the way")
        assert proxy.cuts >= 2 * (len(places) - 3)
    finally:
        proxy.close()


def test_upload_cut_at_bytes_by_chance(tool, registry, payload, rng):
    proxy = CutProxy(registry.port)
    try:
        for number in range(15):
            chunk, place = rng.choice((0, 100_000, rng.randrange(40_000, SIZE))), rng.randrange(SIZE + 1_000)
            name = f"chance/c{number}"
            proxy.cut(place)
            done = tool("push-file", target=f"{proxy.host}/{name}", file=payload(f"chance-{number}"), chunk=chunk)
            assert stored(registry, name, done["digest"]), (chunk, place)
        assert proxy.cuts >= 13
    finally:
        proxy.close()


def test_a_cut_upload_goes_on_where_it_stands(tool, payload):
    """A registry that keeps what arrived gets every byte once, wherever the line breaks inside the bodies."""
    registry = StrictRegistry()
    proxy = CutProxy(registry.port, first=True)
    try:
        for chunk in (0, 100_000):
            for place in (2_000, 65_600, 99_000, 101_500, 150_000, 201_000, 299_000):
                registry.received = registry.opened = 0
                cuts = proxy.cuts
                proxy.cut(place)
                done = tool("push-file", target=f"{proxy.host}/x", file=payload(f"strict-{chunk}-{place}"), chunk=chunk)
                assert proxy.cuts == cuts + 1 and done["digest"] in registry.blobs
                assert registry.opened == 1 and registry.received == SIZE, (chunk, place, registry.received)
    finally:
        proxy.close()
        registry.close()


def test_password(tool, payload, tmp_path):
    with Registry(user="ann", password="p:w d") as registry:
        target, file = f"{registry.host}/priv/x", payload("pw")
        refused = tool("push-file", ok=False, target=target, file=file)
        assert refused["code"] == "auth" and refused["status"] == 401 and "docker login" in refused["hint"]
        wrong = tool("push-file", ok=False, target=target, file=file, auth={"user": "ann", "password": "no-such-word"})
        assert wrong["code"] == "auth" and "authentication_secret" in wrong["hint"]
        assert "no-such-word" not in json.dumps(wrong)
        done = tool("push-file", target=target, file=file, auth={"user": "ann", "password": "p:w d"})
        assert stored(registry, "priv/x", done["digest"])
        docker = tmp_path / "docker"
        docker.mkdir()
        (docker / "config.json").write_text(json.dumps({"auths": {f"https://{registry.host}/v1/": {
            "auth": "YW5uOnA6dyBk"}}}))
        again = tool("push-file", target=target, file=file, env={"DOCKER_CONFIG": str(docker)})
        assert again["there"] == 1


def helper(folder: pathlib.Path, name, script):
    folder.mkdir(exist_ok=True)
    path = folder / f"docker-credential-{name}"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_credential_helpers(tool, tmp_path):
    docker, programs = tmp_path / "docker", tmp_path / "bin"
    docker.mkdir()
    env = {"DOCKER_CONFIG": str(docker), "PATH": f"{programs}:{os.environ['PATH']}"}
    helper(programs, "one", 'read -r server; [ "$1" = get ] || exit 9; '
                            'printf \'{"ServerURL":"%s","Username":"u-%s","Secret":"s-one-secret"}\' "$server" "$server"\n')
    helper(programs, "store", 'read -r server; case $server in known*|https://index*) '
                              'printf \'{"Username":"<token>","Secret":"identity-token"}\';; '
                              '*) echo "credentials not found in native keychain"; exit 1;; esac\n')
    helper(programs, "broken", 'echo "the keychain is locked"; exit 2\n')

    def config(**values):
        (docker / "config.json").write_text(json.dumps(values))
    config(credHelpers={"r.example:5000": "one", "bad.example": "broken", "evil.example": "../../x"}, credsStore="store",
           auths={"other.example": {"auth": "YTpi"}})
    assert tool("credentials", registry="r.example:5000", env=env)["user"] == "u-r.example:5000"
    assert tool("credentials", registry="known.example", env=env)["identity_token"] == "identity-token"
    assert tool("credentials", registry="docker.io", env=env)["identity_token"] == "identity-token"
    assert tool("credentials", registry="other.example", env=env)["password"] == "b"
    assert tool("credentials", registry="none.example", env=env)["user"] is None
    locked = tool("credentials", ok=False, registry="bad.example", env=env)
    assert "docker-credential-broken failed" in locked["error"] and "the keychain is locked" in locked["error"]
    assert "is not a credential helper" in tool("credentials", ok=False, registry="evil.example", env=env)["error"]
    config(credsStore="missing")
    assert "docker-credential-missing' not found" in tool("credentials", ok=False, registry="x.example", env=env)["error"]
    config(auths={"x.example": {"auth": "%%%"}})
    assert "is not base 64" in tool("credentials", ok=False, registry="x.example", env=env)["error"]


def test_token_service(tool, payload, tmp_path):
    """Scopes are asked for, a stranger is refused, a token that dies in the middle of a push is renewed."""
    service = TokenService(tmp_path)
    registry = TokenRegistry(service, tmp_path)
    try:
        target, file, auth = f"{registry.host}/team/x", payload("token"), {"user": "ann", "password": service.password}
        done = tool("push-file", target=target, file=file, auth=auth)
        assert service.asked[-1] == (["repository:team/x:pull,push"], True) and done["bytes_sent"] == SIZE
        stranger = tool("push-file", ok=False, target=f"{registry.host}/team/y", file=file)
        assert stranger["code"] == "auth"
        wrong = tool("push-file", ok=False, target=target, file=file, auth={"user": "ann", "password": "mistaken"})
        assert wrong["status"] == 401 and "wrong password" in wrong["error"]
        service.asked.clear()
        service.lifetime = -56  # the registry allows a minute of difference: dead after three or four seconds
        with HeldRelay(registry, after=2_000_000) as line:
            long = tool("push-file", target=f"{line.host}/team/z", file=payload("long", 4_000_000), chunk=400_000, auth=auth)
            assert line.held and long["bytes_sent"] >= 4_000_000
        assert stored(registry, "team/z", long["digest"], service.last)
        assert len(service.asked) >= 2 and all(known for _, known in service.asked)
    finally:
        registry.stop()
        service.close()


def test_no_registry_there(tool, payload):
    gone = tool("push-file", ok=False, target="127.0.0.1:1/x/y", file=payload("gone", 10))
    assert gone["code"] == "network" and "127.0.0.1:1" in gone["error"]
    assert "has to be lower case" in tool("push-file", ok=False, target="h.example/UP/x", file=payload("g", 10))["error"]
