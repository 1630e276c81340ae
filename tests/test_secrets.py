# SPDX-License-Identifier: Apache-2.0
"""Planted secrets are looked for in all that leaves the program: output, files, store, Spaces, images, arguments."""
import base64
import gzip
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse

import pytest

from tests.oci import images as tiny
from tests.support.registry import Registry

SECRETS = {
    "token": "hf_PlantedTokenQ7w8E9r0T1y2U3i4O5p6",
    "wrong token": "hf_PlantedWrongZ9x8C7v6B5n4M3a2S1d0",
    "plain token": "hf_PlantedPlainL1k2J3h4G5f6D7s8A9q0",
    "auth key": "planted-auth-key-51c7d0e2b9",
    "password": "planted-pass-word-8e61fa04",
    "wrong password": "planted-bad-password-2c9d",
    "value": 'planted "value"&with/signs+7b3',
}
MODULE = '''\
import os
import sys
from kourou import pipeline, step


@step
def tell(how: str) -> int:
    value = os.environ["api_key"]
    if how == "print":
        print("the value is", value)
        print("the value is", value, file=sys.stderr, flush=True)
    if how == "raise":
        raise ValueError("it was " + value)
    return len(value)


@pipeline
def my_pipeline(how: str = "quiet") -> int:
    return tell(how)
'''
FORMATS = ("table", "json", "yaml", "csv", "tsv")
SPACE = "alice/zenml-planted"


def forms(text):
    """The text as it would look in other clothes; base 64 at each of the three offsets, without the uncertain ends."""
    data = text.encode()
    out = {data, json.dumps(text)[1:-1].encode(), urllib.parse.quote(text, safe="").encode(),
           urllib.parse.quote_plus(text).encode()}
    for shift in range(3):
        inside = base64.b64encode(b"\0" * shift + data)[4 if shift else 0:]
        inside = inside.rstrip(b"=")[:-2]
        out |= {inside, inside.replace(b"+", b"-").replace(b"/", b"_")}
    assert all(len(one) > 12 for one in out)
    return out


NEEDLES = {name: forms(text) for name, text in SECRETS.items()}


def find(data, where):
    """["auth key in log", ...]; what is packed is looked into."""
    found = [f"{name} in {where}" for name, texts in NEEDLES.items() if any(text in data for text in texts)]
    if data[:2] == b"\x1f\x8b":
        found += find(gzip.decompress(data), f"{where} (unpacked)")
    return found


class Arguments:
    """Command lines of all processes while it runs."""

    def __enter__(self):
        self.seen, self.stop = set(), threading.Event()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def _look(self):
        while not self.stop.is_set():
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    try:
                        self.seen.add(pathlib.Path(f"/proc/{entry}/cmdline").read_bytes())
                    except OSError:
                        pass
            time.sleep(0.002)


class World:
    """A home with all secrets in it; what is run there is looked through."""

    def __init__(self, build_dir, folder, hub):
        self.build_dir, self.folder, self.hub = build_dir, folder, hub
        self.project, self.home, self.planted = folder / "project", folder / "home", folder / "planted"
        for one in (self.project, self.home, self.planted, folder / "tmp"):
            one.mkdir()
        (self.project / "my_module.py").write_text(MODULE)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "KOUROU_HOME": str(self.home / "kourou"),
                    "HF_ENDPOINT": hub.url, "LANG": "C.UTF-8", "TMPDIR": str(folder / "tmp")}
        self.found, self.outputs, self.arguments = [], 0, set()

    def file(self, **values):
        path = self.planted / f"{len(list(self.planted.iterdir()))}.json"
        path.write_text(json.dumps(values))
        return f"@{path}"

    def run(self, *args, check=0, look=True, env=None):
        with Arguments() as arguments:
            done = subprocess.run([str(self.build_dir / "kourou"), *map(str, args)], cwd=self.project, timeout=200,
                                  env={**self.env, **(env or {})}, capture_output=True, stdin=subprocess.DEVNULL)
        status = (done.returncode == 0) if check == 0 else (done.returncode == check or check is None)
        assert status, (args, done.returncode, done.stdout[-3000:], done.stderr[-3000:])
        if look:
            self.outputs += 1
            self.found += find(done.stdout, f"stdout of {args}") + find(done.stderr, f"stderr of {args}")
            for line in arguments.seen:
                self.found += find(line, f"arguments of {line.split(bytes(1))[0]!r} during {args}")
            self.arguments |= arguments.seen
        return done

    def secrets(self):
        self.run("secret", "create", "hub", "--values", self.file(token=SECRETS["token"]))
        self.run("secret", "create", "bad_hub", "--values", self.file(token=SECRETS["wrong token"]))
        self.run("secret", "create", "app", "--values", self.file(api_key=SECRETS["value"]))
        self.run("secret", "create", "keys", "--values", self.file(auth=SECRETS["auth key"]))
        self.run("secret", "create", "reg", "--values", self.file(username="alice", password=SECRETS["password"]))
        self.run("secret", "create", "bad_reg", "--values",
                 self.file(username="alice", password=SECRETS["wrong password"]))

    def stack(self, flavor, *settings, name, more=()):
        self.run("deployer", "register", name, f"--flavor={flavor}", "--secret=app", "--auth_key={{keys.auth}}",
                 *settings)
        self.run("stack", "register", name, "-D", name, "-a", "default", "-o", "default", *more, "--set")

    def deploy(self, *more, check=0, name="planted", **options):
        return self.run("pipeline", "deploy", "my_module.my_pipeline", "--python", sys.executable, "--name", name,
                        "--update", *more, check=check, **options)

    def files(self):
        """Everything that was written anywhere below the test's folder, by whomever, but for the planted files."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and self.planted not in path.parents and self.hub.folder not in path.parents:
                yield path

    def check(self, stored=None):
        """stored: what the user was warned that the store keeps as given."""
        for path in self.files():
            found = find(path.read_bytes(), path.relative_to(self.folder))
            self.found += [one for one in found if not (stored and path.name.startswith("store.db")
                                                        and one.startswith(f"{stored} in "))]
        assert self.found == []


@pytest.fixture
def world(build_dir, tmp_path, hub):
    hub.make_token("alice", value=SECRETS["token"])
    one = World(build_dir, tmp_path, hub)
    one.secrets()
    yield one
    names = json.loads(one.run("deployment", "list", "-o", "json", look=False).stdout)["items"]
    for row in names:
        one.run("deployment", "delete", row["name"], "--yes", "--force", check=None, look=False)


def test_search_finds_what_is_there(world):
    """Positive controls: who asks for a value gets it, and each way to hide one is seen through."""
    shown = world.run("secret", "get", "app", "-o", "json", look=False).stdout
    assert find(shown, "x") == ["value in x"]
    for name, text in SECRETS.items():
        for hidden in (text.encode(), base64.b64encode(text.encode()), base64.b64encode(b"alice:" + text.encode()),
                       base64.b64encode(b"xyz__token:" + text.encode()), json.dumps([text]).encode(),
                       urllib.parse.urlencode({"q": text}).encode(), gzip.compress(text.encode())):
            assert find(b"before " + hidden + b" after" if hidden[:1] != b"\x1f" else hidden, "x"), (name, hidden)
    (world.home / "left").write_bytes(SECRETS["password"].encode())
    with pytest.raises(AssertionError, match="password in home/left"):
        world.check()
    world.found.clear()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", SECRETS["auth key"]])
    world.run("status")
    child.kill()
    child.wait()
    assert any("auth key in arguments of" in one for one in world.found), world.found


def test_components_and_stacks(world):
    world.stack("huggingface", "--secret_name=hub", name="hf")
    world.run("container-registry", "register", "private", "--flavor=default", "--uri=localhost:1",
              "--authentication_secret=reg")
    plain = world.planted / "plain"
    plain.write_text(SECRETS["plain token"])
    warned = world.run("deployer", "register", "plain", "--flavor=huggingface", f"--token=@{plain}")
    assert b"'token' is kept as given; better keep it in a secret" in warned.stderr, warned.stderr
    world.run("stack", "register", "plain", "-D", "plain", "-a", "default", "-o", "default")
    world.run("deployer", "update", "plain", "--private=true")
    world.run("deployer", "update", "plain", f"--tokn=@{plain}", check=None)
    for form in FORMATS:
        for command in (["secret", "list"], ["deployer", "list"], ["deployer", "describe", "hf"],
                        ["deployer", "describe", "plain"], ["stack", "list"], ["stack", "describe", "hf"],
                        ["container-registry", "list"], ["container-registry", "describe", "private"],
                        ["deployer", "flavor", "list"]):
            world.run(*command, "-o", form, check=None)
    for command in (["status"], ["doctor"], ["deployer", "get"], ["stack", "get"]):
        world.run(*command, check=None)
    for name in ("hf", "plain"):
        world.run("stack", "export", name, world.home / f"{name}.yaml")
    world.run("deployer", "copy", "plain", "plain2")
    world.run("deployer", "describe", "plain2")
    world.run("secret", "create", "app", "--values", world.file(api_key=SECRETS["value"]), check=1)
    world.run("secret", "update", "nothing", "--values", world.file(api_key=SECRETS["value"]), check=None)
    world.run("deployer", "register", "bad", "--flavor=huggingface", "--token={{keys.nothing}}", check=None)
    assert world.outputs > 60
    world.check(stored="plain token")


def test_local_deployment(world):
    world.stack("local", name="here")
    world.deploy("--dry-run", "--output", "json")
    world.deploy()
    assert any(b"kourou-serve" in line for line in world.arguments), "the programs that a deploy starts were seen"
    assert json.loads(world.run("deployment", "invoke", "planted").stdout)["outputs"] == {"output": 30}
    world.run("deployment", "invoke", "planted", "--how=print")
    world.run("deployment", "invoke", "planted", "--how=raise", check=1, look=False)  # the step's own words
    logs = world.run("deployment", "logs", "planted").stdout
    assert logs.count(b"the value is ****") == 2 and b"it was ****" in logs, logs
    for form in FORMATS:
        world.run("deployment", "describe", "planted", "-o", form)
        world.run("deployment", "list", "-o", form)
        world.run("pipeline", "runs", "list", "-o", form)
        world.run("pipeline", "snapshot", "list", "-o", form)
    world.run("deployment", "diff", "planted", check=None)
    source = world.project / "my_module.py"
    source.write_text(MODULE + "\nif 'api_key' in os.environ:\n    raise RuntimeError('saw ' + os.environ['api_key'])")
    failed = world.deploy(check=1)
    assert b"saw " in failed.stderr, failed.stderr
    world.run("deployment", "logs", "planted")
    world.check()


def test_space(world):
    world.stack("huggingface", "--secret_name=hub", name="hf")
    hub = world.hub
    world.deploy("--dry-run", "--output", "json")
    world.deploy()
    space = hub.space(SPACE)
    state = space.state()
    assert {"api_key", "KOUROU_AUTH_KEY"} <= set(state["secrets"])
    world.found += find(json.dumps(state["variables"]).encode(), "variables")
    contents = space.contents()
    assert "Dockerfile" in contents and "my_module.py" in contents
    for path, data in contents.items():
        world.found += find(data, f"{path} of the Space")
    for form in FORMATS:
        world.run("deployment", "describe", "planted", "-o", form)
    world.run("deployment", "logs", "planted", check=None)
    world.run("deployment", "refresh", "planted")
    world.run("doctor", check=None, env={"HF_TOKEN": SECRETS["token"]})
    (world.project / "my_module.py").write_text(MODULE.replace("len(value)", "len(value) + 1"))
    for fault in (dict(kind="status", status=403, body=f'{{"error":"no access for {SECRETS["token"]}"}}'),
                  dict(kind="status", status=500, html=True), dict(kind="garbage"),
                  dict(kind="status", status=400, body=json.dumps({"error": "bad value " + SECRETS["value"]}))):
        hub.fault(path="/api/*", method="POST", times=-1, **fault)
        world.deploy(check=None)
        hub.clear_faults()
    world.run("deployer", "update", "hf", "--secret_name=bad_hub")
    assert b"401" in world.deploy(check=1).stderr or b"token" in world.deploy(check=1).stderr
    world.run("deployment", "refresh", "planted", check=None)
    world.run("deployment", "delete", "planted", "--yes", check=None)
    world.run("deployer", "update", "hf", "--secret_name=hub")
    for entry in hub.log():
        assert not entry.get("leaks"), entry
    world.check()


def layers(registry, repository, tag):
    """Manifest, config and the files of each layer, as (place, bytes)."""
    kinds = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    status, _, text = registry.request("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": kinds})
    assert status == 200, text
    manifest = json.loads(text)
    yield "manifest", text
    yield "config", registry.request("GET", f"/v2/{repository}/blobs/{manifest['config']['digest']}")[2]
    for number, layer in enumerate(manifest["layers"]):
        data = registry.request("GET", f"/v2/{repository}/blobs/{layer['digest']}")[2]
        if layer["mediaType"].endswith("zstd"):
            data = subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                if member.isfile():
                    yield f"layer {number}: {member.name}", archive.extractfile(member).read()


def test_image_in_a_registry_with_a_password(world):
    minor = sys.version_info[1]
    with Registry("alice", SECRETS["password"], folder=None) as registry:
        tiny.push(registry, "bases/python:1", (["usr/bin/", f"usr/bin/python3.{minor}", ("usr/bin/python3", f"python3.{minor}")], ["etc/hosts"]))
        world.run("container-registry", "register", "private", "--flavor=default", f"--uri={registry.host}",
                  "--authentication_secret=reg")
        world.run("image-builder", "register", "daemonless", "--flavor=daemonless")
        world.stack("huggingface", "--secret_name=hub", name="hf", more=("-c", "private", "-i", "daemonless"))
        config = world.folder / "config.yaml"
        config.write_text(json.dumps({"settings": {"docker": {
            "parent_image": f"{registry.host}/bases/python:1", "target_repository": "team/app", "image_tag": "v1",
            "install_deployment_requirements": False, "install_stack_requirements": False}}}))
        refused = world.deploy("--config", config, check=1)  # a Space could not pull it
        assert b"cannot be pulled without credentials" in refused.stderr, refused.stderr
        names = set()
        for place, data in layers(registry, "team/app", "v1"):
            names.add(place)
            world.found += find(data, f"{place} of the image")
        assert any(name.endswith("my_module.py") for name in names), names
        for form in FORMATS:
            world.run("pipeline", "builds", "list", "-o", form)
            world.run("container-registry", "check", "private", "-o", form, check=None)
        world.run("container-registry", "update", "private", "--authentication_secret=bad_reg")
        wrong = world.deploy("--config", config, "--prevent-build-reuse", check=1)
        assert re.search(rb"401|password|credentials|log.?in", wrong.stderr), wrong.stderr
        world.run("container-registry", "check", "private", check=None)
        world.run("container-registry", "update", "private", "--authentication_secret=reg")
        shutil.rmtree(registry.folder / "data" / "docker")
        world.deploy("--config", config, "--prevent-build-reuse", check=1)
    gone = world.deploy("--config", config, "--prevent-build-reuse", check=1)
    assert b"refused" in gone.stderr or b"connect" in gone.stderr, gone.stderr
    world.check()
