# SPDX-License-Identifier: Apache-2.0
"""A Debian image with Python 3.11, pip and a folder of wheels, made on the spot; builds in tests need no network.

Made once and kept under .cache/baseimage-<key>/; the key covers Debian's versions and the wheels asked for.
"""

import fcntl
import gzip
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ("ca-certificates", "python3", "python3-pip")
WHEELS = ("pydantic>=2.7", "scikit-learn>=1.3", "setuptools", "wheel", "uv")
EXTRA_DEBS = ("hello", "libgomp1")  # what `apt-get install` can install inside
NAMES = (
    "library/python:3.11-slim",
    "library/python:3.11",
    "library/python:3.11-slim-bookworm",
    "library/debian:bookworm-slim",
    "kourou/base:3.11",
)
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
VERSION = 4

FILES = {
    "etc/pip.conf": "[global]\nno-index = true\nfind-links = /opt/wheels\nbreak-system-packages = true\n"
    "disable-pip-version-check = true\nroot-user-action = ignore\n",
    "etc/uv/uv.toml": 'no-index = true\nfind-links = ["/opt/wheels"]\n',
    "etc/apt/sources.list": "deb [trusted=yes] file:/opt/debs ./\n",
}
DROP = (
    "var/cache/apt/archives",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/log",
    "var/cache/debconf",
    "usr/share/bash-completion",
    "usr/share/lintian",
    "var/cache/ldconfig",
)


def debian_mirror():
    """The mirror this machine installs from."""
    policy = subprocess.run(["apt-cache", "policy", "python3.11-minimal"], capture_output=True, text=True).stdout
    for word in policy.split():
        if word.startswith("http") and "debian-security" not in word:
            return word
    raise RuntimeError("apt names no mirror for python3.11-minimal: run apt-get update")


def key():
    names = ["libc6", "python3.11-minimal", "python3-pip", *EXTRA_DEBS]
    policy = subprocess.run(["apt-cache", "policy", *names], capture_output=True, text=True).stdout
    versions = [line.strip() for line in policy.splitlines() if "Candidate" in line]
    text = json.dumps([VERSION, PACKAGES, WHEELS, EXTRA_DEBS, FILES, DROP, versions])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def image():
    """The folder with the parts of the image; makes them when they are not there."""
    folder = ROOT / ".cache" / f"baseimage-{key()}"
    if (folder / "manifest.json").exists():
        return folder
    folder.parent.mkdir(exist_ok=True)
    with open(folder.parent / "baseimage.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes side by side need it at the same time
        if (folder / "manifest.json").exists():
            return folder
        for old in folder.parent.glob("baseimage-*"):
            shutil.rmtree(old, ignore_errors=True)
        work = pathlib.Path(tempfile.mkdtemp(prefix="baseimage-part-", dir=folder.parent))
        try:
            _make(work)
            work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return folder


def _run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done


def _make(work):
    root, extra = work / "root", work / "extra"
    _run("debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), "bookworm", str(root), debian_mirror())
    _trim(root)
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for name, target in {"python": "python3", "pip": "pip3"}.items():
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{target}")
    for mark in (root / "usr/lib").glob("python3*/EXTERNALLY-MANAGED"):
        mark.unlink()
    (extra / "opt/wheels").mkdir(parents=True)
    (extra / "opt/debs").mkdir(parents=True)
    _run(
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--only-binary=:all:",
        "--python-version=3.11",
        "-d",
        str(extra / "opt/wheels"),
        *WHEELS,
    )
    _debs(extra / "opt/debs")
    layers = [_layer(work / "layer-0.tar.gz", root), _layer(work / "layer-1.tar.gz", extra)]
    shutil.rmtree(root)
    shutil.rmtree(extra)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
            "Cmd": ["python3"],
        },
        "rootfs": {"type": "layers", "diff_ids": [plain for _, plain, _ in layers]},
        "history": [{"created_by": "debootstrap"}, {"created_by": "wheels and packages"}],
    }
    text = json.dumps(config).encode()
    (work / "config.json").write_bytes(text)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": CONFIG_TYPE, "size": len(text), "digest": "sha256:" + hashlib.sha256(text).hexdigest()},
        "layers": [{"mediaType": LAYER_TYPE, "size": size, "digest": digest} for digest, _, size in layers],
    }
    (work / "manifest.json").write_text(json.dumps(manifest))


def _trim(root):
    for name in DROP:
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
            path.mkdir()
        elif path.exists():
            path.unlink()
    for folder in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for cache in root.rglob("__pycache__"):
        shutil.rmtree(cache)


def _debs(folder):
    """A little package source, so that `apt-get install` works inside without a network."""
    command = ("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *EXTRA_DEBS)
    if subprocess.run(command, cwd=folder, capture_output=True).returncode:
        _run("apt-get", "update", "-qq")  # package lists were missing or old
        _run(*command, cwd=folder)
    listed = _run("dpkg-scanpackages", "-m", ".", "/dev/null", cwd=folder).stdout
    (folder / "Packages").write_text(listed)
    for deb in folder.glob("*.deb"):
        deb.chmod(0o644)


def _layer(path, root):
    """Packs the folder; gives (digest, digest of the plain tar, size)."""
    digest = hashlib.sha256()

    class Counted:
        def __init__(self, out):
            self.out = out

        def write(self, data):
            digest.update(data)
            return self.out.write(data)

    def clean(info):
        info.mtime = 0
        return None if info.isdev() or info.isfifo() else info

    with (
        open(path, "wb") as file,
        gzip.GzipFile("", "wb", 1, file, 0) as packed,
        tarfile.open(fileobj=Counted(packed), mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        for entry in sorted(os.listdir(root)):
            tar.add(root / entry, entry, filter=clean)
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return f"sha256:{whole.hexdigest()}", f"sha256:{digest.hexdigest()}", path.stat().st_size


def push(registry, names=NAMES):
    """Pushes the image under every name; gives {name: reference by digest at this registry}."""
    folder = image()
    manifest = json.loads((folder / "manifest.json").read_text())
    blobs = [(manifest["config"]["digest"], folder / "config.json")]
    blobs += [(layer["digest"], folder / f"layer-{number}.tar.gz") for number, layer in enumerate(manifest["layers"])]
    out = {}
    for name in names:
        repository, _, tag = name.partition(":")
        for digest, path in blobs:
            registry.push_blob(repository, digest, path)
        out[name] = f"{registry.host}/{repository}@{registry.push_manifest(repository, tag, manifest)}"
    return out
