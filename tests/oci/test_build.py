# SPDX-License-Identifier: Apache-2.0
"""Images without a daemon: what is in them, what travels, what is refused."""
import concurrent.futures
import gzip
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import pytest

from tests.conftest import needs
from tests.oci import images
from tests.oci.conftest import skopeo
from tests.support.counting import CountingProxy
from tests.support.registry import Registry

MINOR = sys.version_info[1]
PYTHON = (["usr/bin/", f"usr/bin/python3.{MINOR}", ("usr/bin/python3", f"python3.{MINOR}"),
           "lib64/ld-linux-x86-64.so.2", "usr/lib/python3/dist-packages/x.py"], ["etc/hosts"])
LOCAL = ["bin/sh", f"usr/local/bin/python3.{MINOR}", ("usr/local/bin/python3", f"python3.{MINOR}")]  # as official images have it
OFFICIAL = dict(env=[f"PYTHON_VERSION=3.{MINOR}.1", "PATH=/usr/local/bin:/usr/bin", "A=base"],
                history=["/bin/sh -c apt-get update", "second"])


@pytest.fixture(scope="module")
def base(registry):
    """Names of base images in the registry."""
    images.push(registry, "bases/debian:1", PYTHON)
    images.push(registry, "bases/official:1", [LOCAL, ["etc/x"]], **OFFICIAL)
    return f"{registry.host}/bases"


@pytest.fixture
def source(tmp_path):
    """A source folder, a runtime folder, and wheels that pip finds without a network."""
    code, runtime, wheels = tmp_path / "code", tmp_path / "runtime", tmp_path / "wheels"
    for folder in (code / "pkg", runtime / "bin", runtime / "python/kourou", wheels):
        folder.mkdir(parents=True)
    (code / "app.py").write_text("print('hello')\n")
    (code / "pkg/ü.py").write_text("x = 1\n")
    (code / "run.sh").write_text("#!/bin/sh\n")
    (code / "run.sh").chmod(0o755)
    (runtime / "bin/kourou-serve").write_bytes(b"\x7fELF" * 1000)
    (runtime / "bin/kourou-serve").chmod(0o755)
    (runtime / "python/kourou/__init__.py").write_text("def run():\n    return {'a', 'b', 'c'}\n")
    images.wheel(wheels, "tiny", requires=["other"])
    images.wheel(wheels, "other", entry=False)
    images.sdist(wheels)
    return tmp_path


def build_args(source, base, target, **over):
    args = {"base": base, "target": target, "code": str(source / "code"), "runtime": str(source / "runtime"),
            "snapshot": '{"format":1}', "entrypoint": ["/opt/kourou/bin/kourou-serve", "--port", "7860"],
            "environment": {"A": "mine", "NEW": "x=\"$y\"\nz"}, "python": sys.executable, "requirements": "tiny\n",
            "installer_args": ["--no-index", f"--find-links={source / 'wheels'}"]}
    args.update(over)
    return args


def image_of(registry, reference):
    name, _, what = reference.removeprefix(registry.host + "/").partition("@")
    if not what:
        name, _, what = name.partition(":")
    _, _, text = registry.request("GET", f"/v2/{name}/manifests/{what}", headers={
        "Accept": "application/vnd.oci.image.manifest.v1+json"})
    manifest = json.loads(text)
    _, _, config = registry.request("GET", f"/v2/{name}/blobs/{manifest['config']['digest']}")
    return name, manifest, json.loads(config)


def files_of(registry, name, descriptor):
    _, _, blob = registry.request("GET", f"/v2/{name}/blobs/{descriptor['digest']}")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as tar:
        return {m.name: (m, tar.extractfile(m).read() if m.isfile() else None) for m in tar}


def test_what_is_in_the_image(tool, registry, base, source):
    done = tool("build", **build_args(source, f"{base}/official:1", f"{registry.host}/out/a:v1"))
    name, manifest, config = image_of(registry, done["reference"])
    assert len(manifest["layers"]) == 5 and done["mounted"] == 2 and not done["unchanged"]
    assert config["config"]["Env"] == [
        f"PYTHON_VERSION=3.{MINOR}.1", "PATH=/usr/local/bin:/usr/bin", "A=mine", "HOME=/home/kourou",
        "HF_HOME=/home/kourou/.cache/huggingface", "KOUROU_SERVE_DATA_DIR=/var/lib/kourou", "LOGNAME=kourou",
        "PYTHONUNBUFFERED=1", "USER=kourou", 'NEW=x="$y"\nz']
    assert config["config"]["User"] == "1000:1000" and config["config"]["WorkingDir"] == "/app"
    assert config["config"]["Entrypoint"][0] == "/opt/kourou/bin/kourou-serve" and "Cmd" not in config["config"]
    assert config["created"] == "2020-01-01T00:00:00Z" and len(config["history"]) == 5
    runtime, packages, code = (files_of(registry, name, d) for d in manifest["layers"][2:])
    serve = runtime["opt/kourou/bin/kourou-serve"][0]
    assert (serve.mode, serve.uid, serve.mtime) == (0o755, 0, 315619200)
    assert f"opt/kourou/python/kourou/__pycache__/__init__.cpython-3{MINOR}.pyc" in runtime
    assert runtime["home/kourou/.cache/huggingface"][0].uid == 1000 and runtime["var/lib/kourou"][0].uid == 1000
    site = f"usr/local/lib/python3.{MINOR}/site-packages"
    assert f"{site}/tiny/__init__.py" in packages and f"{site}/other/__init__.py" in packages
    program, text = packages["usr/local/bin/tiny-run"]
    assert text.startswith(b"#!/usr/local/bin/python3\n") and program.mode == 0o755
    assert not any(str(source).encode() in (body or b"") for _, body in packages.values())
    assert code["app/pkg/ü.py"][0].uid == 1000 and code["app/run.sh"][0].mode == 0o755
    assert code["opt/kourou/snapshot.json"][1] == b'{"format":1}'


def test_others_accept_it(tool, registry, base, source, tmp_path):
    done = tool("build", **build_args(source, f"{base}/official:1", f"{registry.host}/out/b:v1"))
    seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/out/b:v1"))
    assert seen["Digest"] == done["digest"] and len(seen["Layers"]) == 5
    skopeo("copy", "--src-tls-verify=false", f"docker://{done['reference']}", f"dir:{tmp_path}/copied")
    skopeo("copy", "--src-tls-verify=false", f"docker://{done['reference']}", f"docker-archive:{tmp_path}/archive.tar")
    got = tool("get-image", image=f"{registry.host}/out/b:v1")
    assert got["digest"] == done["digest"]


def test_python_found_in_the_layers(tool, registry, base, source):
    done = tool("build", **build_args(source, f"{base}/debian:1", f"{registry.host}/out/c:v1"))
    name, manifest, _ = image_of(registry, done["reference"])
    packages = files_of(registry, name, manifest["layers"][3])
    assert f"usr/local/lib/python3.{MINOR}/dist-packages/tiny/__init__.py" in packages
    assert packages["usr/local/bin/tiny-run"][1].startswith(b"#!/usr/bin/python3\n")  # as Debian's pip has it


def test_only_the_changed_code_travels(tool, registry, base, source):
    args = build_args(source, f"{base}/official:1", f"{registry.host}/out/d:v1")
    first = tool("build", **args)
    same = tool("build", **args)
    assert same["unchanged"] and same["bytes_sent"] == 0 and same["digest"] == first["digest"]
    (source / "code/app.py").write_text("print('changed')\n")
    second = tool("build", **args)
    _, manifest, _ = image_of(registry, second["reference"])
    assert second["sent"] == 2 and second["there"] == 4  # code and config
    assert second["bytes_sent"] == manifest["layers"][-1]["size"] + manifest["config"]["size"]


def there(registry, name, digest):
    return registry.request("HEAD", f"/v2/{name}/blobs/{digest}")[0] == 200


def test_a_change_of_code_takes_few_calls(tool, registry, base, source):
    """What the tag's image is known to have is not asked for again, and connections are used again."""
    with CountingProxy(registry.port) as line:
        args = build_args(source, f"{line.host}/bases/official:1", f"{line.host}/out/few:v1")
        tool("build", **args)
        (source / "code/app.py").write_text("print('changed')\n")
        line.reset()
        done = tool("build", **args)
        assert done["sent"] == 2 and done["there"] == 4
        # two tags, two uploads begun and ended; the manifest's head follows a body, where the line shows none
        assert sorted(method for method, _ in line.requests() if method != "PUT") == ["HEAD", "HEAD", "POST", "POST"]
        assert len(line.streams) == 2
    assert image_of(registry, f"{registry.host}/out/few@{done['digest']}")


@pytest.mark.parametrize("gone", [0, 2, 3])
def test_a_blob_that_is_gone_from_the_registry(tool, registry, base, source, gone):
    """A layer of the base, the runtime, the requirements: deleted there between two builds."""
    args = build_args(source, f"{base}/official:1", f"{registry.host}/out/gone{gone}:v1")
    name, before, _ = image_of(registry, tool("build", **args)["reference"])
    (source / "code/app.py").write_text("print('changed')\n")
    assert registry.request("DELETE", f"/v2/{name}/blobs/{before['layers'][gone]['digest']}")[0] == 202
    done = tool("build", **args)
    name, manifest, _ = image_of(registry, done["reference"])
    assert [layer["digest"] for layer in manifest["layers"][:-1]] == [x["digest"] for x in before["layers"][:-1]]
    assert all(there(registry, name, d["digest"]) for d in [manifest["config"], *manifest["layers"]])
    assert (done["sent"], done["mounted"], done["there"]) == ((2, 1, 3) if gone == 0 else (3, 0, 3))


def test_equal_on_two_machines(tool, registry, base, source, tmp_path):
    """Another folder, another cache, another umask, other times: the same digest, byte for byte."""
    first = tool("build", **build_args(source, f"{base}/official:1", f"{registry.host}/out/e:v1"))
    other = tmp_path / "elsewhere/deep"
    before = os.umask(0o077)
    try:
        other.mkdir(parents=True)
        for folder in ("code", "runtime", "wheels"):
            subprocess.run(["cp", "-r", source / folder, other / folder], check=True)
        for path in other.rglob("*"):
            os.utime(path, (1, 1))
        second = tool("build", **build_args(other, f"{base}/official:1", f"{registry.host}/out/f:v1",
                                            cache=str(other / "cache")))
    finally:
        os.umask(before)
    assert first["digest"] == second["digest"]


def test_copied_from_another_registry(tool, base, source, registry):
    with Registry(user="ann", password="pw pw pw") as far:
        done = tool("build", **build_args(source, f"{base}/official:1", f"{far.host}/x/y:z",
                                          target_auth={"user": "ann", "password": "pw pw pw"}))
        assert done["mounted"] == 0 and done["sent"] == 6
        _, manifest, _ = image_of(far, done["reference"])
        for layer in manifest["layers"]:
            assert far.request("HEAD", f"/v2/x/y/blobs/{layer['digest']}")[0] == 200
        refused = tool("check", ok=False, image=f"{far.host}/x/y:z")
        assert refused["code"] == "auth" and "cannot be pulled without credentials" in refused["error"]


@pytest.mark.parametrize("uv", [False, True])
def test_a_requirement_without_wheel(tool, registry, base, source, uv, monkeypatch):
    monkeypatch.setenv("PATH", f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
    args = build_args(source, f"{base}/official:1", f"{registry.host}/out/g:v1", uv=uv, requirements="tiny\nonlysource==1.0\n")
    failed = tool("build", ok=False, **args)
    assert failed["code"] == "invalid" and "onlysource" in failed["error"] and f"Python 3.{MINOR}" in failed["error"], failed
    assert "--build-mode=source" in failed["hint"] and "flavor local" in failed["hint"]
    args["requirements"] = "tiny\n"
    done = tool("build", **args)
    name, manifest, _ = image_of(registry, done["reference"])
    assert f"usr/local/lib/python3.{MINOR}/site-packages/tiny/__init__.py" in files_of(registry, name, manifest["layers"][3])


def test_zstd(tool, registry, base, source, tmp_path):
    done = tool("build", **build_args(source, f"{base}/official:1", f"{registry.host}/out/z:v1", zstd=True))
    _, manifest, _ = image_of(registry, done["reference"])
    assert [d["mediaType"].rsplit("+")[-1] for d in manifest["layers"]] == ["gzip", "gzip", "zstd", "zstd", "zstd"]
    skopeo("copy", "--src-tls-verify=false", f"docker://{done['reference']}", f"oci:{tmp_path}/copied:x")


def test_a_damaged_cache(tool, registry, base, source, tmp_path):
    args = build_args(source, f"{base}/official:1", f"{registry.host}/out/h:v1")
    first = tool("build", **args)
    for blob in (tmp_path / "cache/blobs/sha256").iterdir():
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(data)
    for note in (tmp_path / "cache/notes").iterdir():
        note.write_bytes(note.read_bytes()[:-3])
    assert tool("build", **args)["digest"] == first["digest"]
    args["target"] = f"{registry.host}/elsewhere/h:v1"  # now the blobs themselves are needed
    for blob in (tmp_path / "cache/blobs/sha256").iterdir():
        blob.write_bytes(b"\0" * blob.stat().st_size)
    assert tool("build", **args)["digest"] == first["digest"]


def test_two_builds_at_once(tool, registry, base, source):
    args = build_args(source, f"{base}/official:1", f"{registry.host}/out/i:v1")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        digests = {done["digest"] for done in pool.map(lambda _: tool("build", **args), range(3))}
    assert len(digests) == 1


def test_disk_full(tool, registry, base, source, tmp_path):
    needs(os.geteuid() == 0, "mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", small], check=True)
    try:
        (source / "code/noise.bin").write_bytes(os.urandom(2_000_000))
        failed = tool("build", ok=False, **build_args(source, f"{base}/official:1", f"{registry.host}/out/j:v1",
                                                      cache=str(small), requirements="", python=None))
        assert "No space left" in failed["error"] and "KOUROU_HOME" in failed["hint"]
        assert not any((small / "blobs/sha256").glob("tmp-*"))
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("layers,options,part", [
    ([["bin/sh"]], {}, "has no Python 3"),
    ([["etc/x"]], dict(env=[f"PYTHON_VERSION=3.{MINOR}.1"], history=["apk add python"]), "has no Python 3 in its PATH"),
    ([["usr/bin/python3", "usr/bin/python3.8", "lib64/ld-linux-x86-64.so.2"]], {}, "does not say which Python its entry point runs"),
    ([["usr/bin/python3.8", ("usr/bin/python3", "python3.8")]], {}, "has Python 3.8, older than 3.9"),
    ([["usr/bin/python3.13t", ("usr/bin/python3", "python3.13t")]], {}, "/usr/bin/python3.13t is a build of its own kind"),
    ([[("root/.pyenv/shims/python3", b"#!/usr/bin/env bash\n")]], dict(env=["PATH=/root/.pyenv/shims:/usr/bin"]),
     "/root/.pyenv/shims/python3 is a script"),
    ([LOCAL], dict(env=["PATH=/usr/bin:/bin"]), "has no Python 3 in its PATH"),
    ([LOCAL, ["usr/local/bin/.wh.python3.%d" % MINOR]], {}, "has no Python 3 in its PATH"),
    ([LOCAL, ["usr/local/.wh..wh..opq"]], {}, "has no Python 3 in its PATH"),
    ([[("usr/bin/python3", "python3")]], {}, "has no Python 3 in its PATH"),
    ([["etc/x"]], dict(arch="arm64"), "is for linux/arm64, not linux/amd64"),
])
def test_bases_that_do_not_fit(tool, registry, source, layers, options, part):
    digest = images.push(registry, "bases/odd:1", layers, **options)
    base, target = f"{registry.host}/bases/odd@{digest}", f"{registry.host}/out/k:v1"
    failed = tool("build", ok=False, **build_args(source, base, target))
    assert failed["code"] == "invalid" and part in failed["error"]
    if "arch" not in options:
        assert "parent_image" in failed["hint"]
        native = tool("build", **build_args(source, base, target, native=True))
        assert native["sent"] + native["there"] + native["mounted"] == 3 + len(layers)


def test_platforms_of_an_index(tool, registry):
    ours = images.push(registry, "multi/x:ours", [["a"]])
    arm = images.push(registry, "multi/x:arm", [["b"]], arch="arm64")
    size = len(registry.request("GET", f"/v2/multi/x/manifests/{ours}", headers={"Accept": "*/*"})[2])
    images.push_index(registry, "multi/x:both", [
        (arm, size, {"os": "linux", "architecture": "arm64", "variant": "v8"}),
        (ours, size, {"os": "linux", "architecture": "amd64"}),
        (arm, size, {"os": "unknown", "architecture": "unknown"})])
    images.push_index(registry, "multi/x:arms", [(arm, size, {"os": "linux", "architecture": "arm64", "variant": "v8"})])
    assert tool("check", image=f"{registry.host}/multi/x:both")["digest"] == ours
    failed = tool("check", ok=False, image=f"{registry.host}/multi/x:arms")
    assert "nothing for linux/amd64 (it has linux/arm64/v8)" in failed["error"]
    missing = tool("check", ok=False, image=f"{registry.host}/multi/none:x")
    assert missing["code"] == "not-found" and missing["status"] == 404


def test_a_layer_that_is_gone(tool, registry):
    """A manifest whose layer cannot be pulled is no image: the check looks at every layer."""
    images.push(registry, "gone/x:1", [["a"], ["b", "c"]])
    assert tool("check", image=f"{registry.host}/gone/x:1")["digest"]
    _, manifest, _ = image_of(registry, f"{registry.host}/gone/x:1")
    digest = manifest["layers"][1]["digest"]
    assert registry.request("DELETE", f"/v2/gone/x/blobs/{digest}")[0] == 202
    failed = tool("check", ok=False, image=f"{registry.host}/gone/x:1")
    assert failed["status"] == 404 and digest[:19] in failed["error"]


def test_bytes_that_are_not_what_they_say(tool, registry):
    """Blobs changed inside the registry's storage are noticed."""
    images.push(registry, "evil/x:1", [["a"]])
    _, manifest, _ = image_of(registry, f"{registry.host}/evil/x:1")
    hexed = manifest["config"]["digest"].split(":")[1]
    blob = registry.folder / "data/docker/registry/v2/blobs/sha256" / hexed[:2] / hexed / "data"
    blob.write_bytes(blob.read_bytes().replace(b"linux", b"LINUX"))
    failed = tool("get-image", ok=False, image=f"{registry.host}/evil/x:1")
    assert failed["code"] == "remote" and "gave other bytes" in failed["error"]


def test_base_layers_that_are_not_what_they_say(tool, registry, source):
    """Noticed while they are copied to another registry, which never gets a manifest for them."""
    images.push(registry, "evil/base:1", [["usr/bin/odd"]])
    _, manifest, _ = image_of(registry, f"{registry.host}/evil/base:1")
    hexed = manifest["layers"][0]["digest"].split(":")[1]
    blob = registry.folder / "data/docker/registry/v2/blobs/sha256" / hexed[:2] / hexed / "data"
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with Registry() as far:
        failed = tool("build", ok=False, **build_args(source, f"{registry.host}/evil/base:1", f"{far.host}/evil/out:1",
                                                      native=True))
        assert failed["code"] == "remote" and "gave other bytes" in failed["error"] and hexed[:12] in failed["error"], failed
        assert far.tags("evil/out") == []


def test_user_and_names(tool, registry, base, source):
    args = build_args(source, f"{base}/official:1", f"{registry.host}/out/l:v1", user="1234:55")
    _, _, config = image_of(registry, tool("build", **args)["reference"])
    assert config["config"]["User"] == "1234:55"
    assert "is not a number" in tool("build", ok=False, **{**args, "user": "bob"})["error"]
    assert "has a scheme" in tool("build", ok=False, **{**args, "target": "https://x/y:z"})["error"]
    shutil.rmtree(source / "wheels")
