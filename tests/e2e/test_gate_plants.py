# SPDX-License-Identifier: Apache-2.0
"""One thousand planted credentials, and how many of them leave; the source archives of others, and what is said of them."""
import base64
import json
import os
import random
import re
import string
import subprocess

import pytest

from tests.conftest import ROOT, needs
from tests.e2e.conftest import SPACE
from tests.e2e.test_gate import NAMES, sent, warnings

VALUES, FILES = 400, 600


def values(rng):
    """Secrets of all shapes: tokens, passwords with signs, several lines, other letters."""
    letters = string.ascii_letters + string.digits
    pick = lambda n, of=letters: "".join(rng.choices(of, k=n))  # noqa: E731
    return {"token": "hf_" + pick(34), "short": pick(5) + "!" + pick(4), "long": pick(300), "hex": pick(40, "0123456789abcdef"),
            "signs": pick(6) + "/+&\"'%<>" + pick(6), "letters": "grüße-" + pick(8) + "-ß", "uuid": "-".join(
                pick(n, "0123456789abcdef") for n in (8, 4, 4, 4, 12)), "url": f"postgres://app:{pick(14)}@db.internal/x",
            "pem": "-----BEGIN PRIVATE KEY-----\n" + "\n".join("M" + pick(30) + "a9Z" + pick(30) for _ in range(12))
                   + "\n-----END PRIVATE KEY-----\n"}


def wrap(text, width):
    return "\n".join(text[i:i + width] for i in range(0, len(text), width))


def encode(rng, value):
    """A form in which the value may stand in a file."""
    data, around = value.encode(), rng.randbytes(rng.randrange(9))
    coded = base64.b64encode(around + data + rng.randbytes(rng.randrange(9))).decode()
    return rng.choice([
        lambda: data,
        lambda: json.dumps(value)[1:-1].encode(),
        lambda: json.dumps(json.dumps(value))[1:-1].encode(),
        lambda: value.replace("/", "\\/").replace('"', '\\"').replace("\n", "\\n").encode(),
        lambda: "".join(c if c.isalnum() else "".join(f"%{b:02X}" for b in c.encode()) for c in value).encode(),
        lambda: "".join(f"%{b:02x}" for b in data).replace("%0a", "%0A").encode(),
        lambda: coded.encode(),
        lambda: wrap(coded, rng.choice([64, 76])).encode(),
        lambda: coded.replace("+", "-").replace("/", "_").rstrip("=").encode(),
        lambda: data.hex().encode(),
        lambda: data.hex().upper().encode(),
        lambda: value.encode("utf-16") if "\n" not in value else data,
    ])()


def filler(rng, n):
    if rng.random() < 0.3:
        return rng.randbytes(n)
    words = ["def", "return", "x", "=", "#", "value", "(", ")", "\n", "    ", "import", "1", "'text'", "%", "\\n", "&"]
    return " ".join(rng.choices(words, k=n // 4)).encode()[:n]


def plant_values(rng, folder, secrets):
    names = set()
    for i in range(VALUES):
        path = folder / rng.choice(["", "lib/", "data/deep/er/"]) / f"f{i}{rng.choice(['.py', '.txt', '.bin', '.ipynb', '', '.json'])}"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = rng.choice([0, 10, 400, 5000, 65400, 65536, 70000, 140000])
        before = filler(rng, size)
        if size in (65400, 65536):
            before = before[:65536 - rng.randrange(60)]
        coded = encode(rng, rng.choice(list(secrets.values())))
        path.write_bytes(before + b'\nkey = "' + coded + b'"\n' + filler(rng, rng.choice([0, 50, 3000])))
        names.add(path)
    return names


def any_case(rng, name):
    return "".join(c.upper() if rng.random() < 0.3 else c for c in name)


CONTENTS = [
    lambda rng: b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.encodebytes(rng.randbytes(200)) + b"-----END RSA PRIVATE KEY-----\n",
    lambda rng: json.dumps({"type": "service_account", "project_id": "x", "private_key": rng.randbytes(20).hex()}).encode(),
    lambda rng: json.dumps({"auths": {"ghcr.io": {"auth": rng.randbytes(20).hex()}}}).encode(),
    lambda rng: b"machine example.org\nlogin me\npassword " + rng.randbytes(6).hex().encode(),
    lambda rng: b"me:$2y$05$" + rng.randbytes(20).hex().encode(),
    lambda rng: b"PuTTY-User-Key-File-3: ssh-ed25519\n",
    lambda rng: b"\xfe\xed\xfe\xed\0\0\0\2" + rng.randbytes(300),
    lambda rng: json.dumps({"version": 4, "terraform_version": "1.5", "serial": 3, "lineage": "x"}).encode(),
    lambda rng: b"apiVersion: v1\nkind: Config\nclusters: []\nusers:\n- user:\n    client-key-data: abc\n",
    lambda rng: b"https://me:" + rng.randbytes(6).hex().encode() + b"@example.org\n",
    lambda rng: rng.randbytes(32).hex().encode() + b"\n",
]


def plant_files(rng, folder):
    """Files of the table by name (in any case and folder), and by their contents under other names."""
    for i in range(FILES):
        top = folder / f"t{i % 40}" / rng.choice(["", f"s{i}"])
        if i % 3 == 2:
            path = top / f"thing{i}{rng.choice(['.txt', '.cfg', '', '.bak', '.old'])}"
            data = rng.choice(CONTENTS)(rng)
        else:
            path = top / f"d{i}" / any_case(rng, rng.choice(NAMES))
            data = rng.choice([b"", b"nothing\n", rng.randbytes(50), b"A=1\n" * 300])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_none_of_a_thousand_leaves(ready, hub, rng):
    secrets = values(rng)
    listed = ready.folder.parent / "values.json"
    listed.write_text(json.dumps(secrets))
    ready.run("secret", "create", "app", "--values", f"@{listed}", check=0)
    ready.run("deployer", "update", "hf", "--secret", "app", "--private=True", check=0)
    planted = plant_values(rng, ready.folder, secrets)
    done = ready.deploy(check=1)
    found = re.search(r"stands in (.*) and (\d+) more", warnings(done))
    assert found, done.stderr
    missing = VALUES - len(found[1].split(", ")) - int(found[2])
    assert missing <= 0, f"{missing} of {VALUES} values were not found"
    assert not hub.space(SPACE).exists()
    assert not any(value in done.stderr for value in secrets.values())
    for path in planted:
        path.unlink()
    plant_files(rng, ready.folder)
    (ready.folder / "clean.py").write_text("x = 1\n")
    ready.deploy(check=0)
    left = sent(hub) - {"my_module.py", "clean.py"}
    print(f"{VALUES} values and {FILES} files: {len(left)} left the machine")
    assert not left


ARCHIVES = {"requests": "requests==2.32.3", "fastapi": "fastapi==0.115.6", "gradio": "gradio==5.49.1",
            "transformers": "transformers==4.47.1", "scikit_learn": "scikit-learn==1.6.0"}
QUICK = [name for name in ARCHIVES if name != "gradio"]  # which has 74 MB


FETCH = """
import re, subprocess, sys, urllib.parse, urllib.request
from pip._internal.models.index import PyPI

project, version = sys.argv[1].split("==")
said = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True).stdout
url = f"{(said.strip() or PyPI.simple_url).rstrip('/')}/{project}/"
page = urllib.request.urlopen(url, timeout=60).read().decode()
file = project.replace("-", "[-_]") + "-" + re.escape(version) + r"\\.tar\\.gz"
link = urllib.parse.urljoin(url, re.search('href="([^"#]*' + file + ')[#"]', page).group(1))
urllib.request.urlretrieve(link, link.rsplit("/", 1)[1] + ".part")
print(link.rsplit("/", 1)[1], end="")
"""


def archive(name):
    """The source archive, from where pip gets it: pip itself would build each one only to read its metadata."""
    folder = ROOT / ".cache/sdists"
    folder.mkdir(parents=True, exist_ok=True)
    there = list(folder.glob(f"{name.replace('_', '[-_]')}-*.tar.gz"))
    if not there:
        done = subprocess.run([str(ROOT / ".venv/bin/python"), "-c", FETCH, ARCHIVES[name]], cwd=folder, timeout=280,
                              capture_output=True, text=True)
        needs(done.returncode == 0, f"the source archive of {name} from PyPI: {done.stderr[-300:]}")
        there = [folder / done.stdout]
        (folder / (done.stdout + ".part")).rename(there[0])
    return there[0]


@pytest.mark.parametrize("name", ARCHIVES if os.environ.get("KOUROU_TEST_ALL") else QUICK)
def test_source_archives_of_others_raise_no_alarm(ready, hub, name):
    """Nothing outside of tests and docs stops a deploy to a public Space; at most a warning for 1,000 files."""
    (ready.folder / "vendor").mkdir()
    subprocess.run(["tar", "-xzf", archive(name), "-C", ready.folder / "vendor"], check=True, timeout=60)
    for link in [path for path in (ready.folder / "vendor").rglob("*") if path.is_symlink()]:
        link.unlink()
    count = sum(path.is_file() for path in ready.folder.rglob("*"))
    done = ready.deploy("--dry-run")
    said = warnings(done)
    stops = re.findall(r"(vendor/\S+?):\d+", said.split("Error:")[1]) if "Error:" in said else []
    print(name, count, "files;", done.stderr[:3000])
    assert all(re.search(r"/(tests?|testing|docs?|examples?|docs_src|test_[^/]*|test|templates)/", path) for path in stops), stops
    assert done.returncode == 0 or "live credential" in said
    told = [line for line in done.stderr.splitlines() if line.strip().startswith("Warning:") and "has " not in line]
    assert len(told) <= 1 + count // 1000, told
