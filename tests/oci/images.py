# SPDX-License-Identifier: Apache-2.0
"""Small base images and wheels, made of nothing."""
import gzip
import hashlib
import io
import json
import tarfile
import zipfile

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def layer(names):
    """A layer of empty files, links where (name, target) is given, files where (name, bytes) is, hard links where
    (name, [target]) is; a name with a slash at its end is a folder. (blob, digest of the tar)."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name in names:
            name, content = (name, b"") if isinstance(name, str) else name
            info = tarfile.TarInfo(name.rstrip("/"))
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            elif isinstance(content, list):
                info.type, info.linkname = tarfile.LNKTYPE, content[0]
            elif name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return gzip.compress(plain.getvalue(), mtime=0), digest_of(plain.getvalue())


def elf(text):
    """As much of a program or library for x86-64 as is looked at."""
    head = bytearray(64)
    head[:6], head[18] = b"\x7fELF\x02\x01", 62
    return bytes(head) + text


def glibc(minor):
    return elf(b"\0GLIBC_2.2.5\0GLIBC_2.4\0GNU C Library (Test GLIBC 2.%d-1) stable release version 2.%d.\n" % (minor, minor))


def musl(minor):
    return elf(b"musl libc (x86_64)\nVersion %%s\n\0" + b"1.%d.3\0" % minor)


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def push(registry, name, layers, env=(), history=(), arch="amd64", kind="application/vnd.oci.image.manifest.v1+json"):
    """Pushes an image of these layers (each a list of names); gives its digest."""
    repository, _, tag = name.partition(":")
    made = [layer(names) for names in layers]
    config = {"architecture": arch, "os": "linux", "created": "2020-01-01T00:00:00Z", "config": {"Env": list(env)},
              "rootfs": {"type": "layers", "diff_ids": [plain for _, plain in made]}}
    if history:
        config["history"] = [{"created_by": text} for text in history]
    text = json.dumps(config).encode()
    for blob in (text, *(blob for blob, _ in made)):
        registry.push_blob(repository, digest_of(blob), blob)
    return registry.push_manifest(repository, tag, {
        "schemaVersion": 2, "mediaType": kind,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(text), "digest": digest_of(text)},
        "layers": [{"mediaType": LAYER, "size": len(blob), "digest": digest_of(blob)} for blob, _ in made]})


def push_index(registry, name, entries):
    """An index of (digest, size, platform) rows."""
    repository, _, tag = name.partition(":")
    return registry.push_manifest(repository, tag, {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
                       "platform": platform} for digest, size, platform in entries]})


def wheel(folder, name="tiny", version="1.0", requires=(), entry=True, tag="py3-none-any", more=(), body=None):
    """A pure wheel with a module and a program. `more`: further files by their path in the wheel, as text or bytes; those
    in scripts can be executed."""
    info = f"{name}-{version}.dist-info"
    files = {f"{name}/__init__.py": body or f"VERSION = '{version}'\n\n\ndef main():\n    print('{name}', VERSION)\n",
             f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" +
             "".join(f"Requires-Dist: {line}\n" for line in requires),
             f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n", **dict(more)}
    if entry:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name}-run = {name}:main\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as out:
        for file, text in files.items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = (0o100755 if ".data/scripts/" in file else 0o100644) << 16
            out.writestr(entry, text)
    return path


def sdist(folder, name="onlysource", version="1.0"):
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for file, text in {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                           "setup.py": f"from setuptools import setup\nsetup(name='{name}', version='{version}')\n"}.items():
            info = tarfile.TarInfo(f"{name}-{version}/{file}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return path
