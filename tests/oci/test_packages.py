# SPDX-License-Identifier: Apache-2.0
"""Packages in images without a daemon: every part of a wheel in its place, for the Python that will run, from the wheels
that its C library takes, made again when a wheel of this machine has changed, and nothing of this machine in it."""
import base64
import csv
import hashlib
import io
import os
import pathlib
import sys

import pytest

from tests.oci import images
from tests.oci.test_build import LOCAL, MINOR, base, build_args, files_of, image_of, source  # noqa: F401  (fixtures)

SITE = f"usr/local/lib/python3.{MINOR}/site-packages"
BOTH = pytest.mark.parametrize("uv", [False, True], ids=["pip", "uv"])
SCRIPT = "full-1.0.data/scripts/"
FULL = {
    "full-1.0.data/data/lib/full/table.txt": "lib\n", "full-1.0.data/data/share/full/page.html": "share\n",
    "full-1.0.data/data/etc/full.conf": "etc\n", "full-1.0.data/data/top.txt": "top\n",
    "full-1.0.data/headers/full.h": "#define FULL 1\n", "full-1.0.data/headers/sub/more.h": "\n",
    "full-1.0.data/purelib/full_pure.py": "PURE = 1\n", "full-1.0.data/platlib/full_plat.py": "PLAT = 1\n",
    SCRIPT + "full-py": "#!python\nprint('py')\n", SCRIPT + "full.sh": "#!/bin/sh\necho sh\n",
    SCRIPT + "full-w": "#!pythonw -u\nprint('w')\n", SCRIPT + "full-run": "#!python\nprint('skipped: an entry point')\n",
}


@pytest.fixture(autouse=True)
def tools_of_this_environment(monkeypatch):
    monkeypatch.setenv("PATH", f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")


def packages_of(registry, done):
    name, manifest, config = image_of(registry, done["reference"])
    layer = [row["created_by"] for row in config["history"]].index("requirements")
    return files_of(registry, name, manifest["layers"][layer])


def build(tool, registry, source, name, layers=(LOCAL,), requirements="tiny\n", ok=True, env=(), **over):  # noqa: F811
    options = dict(history=[f"layer {number}" for number, _ in enumerate(layers)], env=env)
    digest = images.push(registry, f"bases/{name}:1", layers, **options)
    done = tool("build", ok=ok, **build_args(source, f"{registry.host}/bases/{name}@{digest}",
                                             f"{registry.host}/packages/{name}:v1", requirements=requirements, **over))
    return packages_of(registry, done) if ok else done


def record_of(packages, site, info):
    """{path in the image: (digest, size)} of a RECORD."""
    rows = csv.reader(io.StringIO(packages[f"{site}/{info}/RECORD"][1].decode(), newline=""))
    return {os.path.normpath(f"{site}/{path}"): (digest, size) for path, digest, size in rows}


@BOTH
def test_every_part_of_a_wheel(tool, registry, source, uv):  # noqa: F811
    images.wheel(source / "wheels", "full", more=FULL)
    packages = build(tool, registry, source, "full", requirements="full\n", uv=uv)
    text = {path: body for path, (_, body) in packages.items()}
    assert text["usr/local/lib/full/table.txt"] == b"lib\n" and text["usr/local/share/full/page.html"] == b"share\n"
    assert text["usr/local/etc/full.conf"] == b"etc\n" and text["usr/local/top.txt"] == b"top\n"
    assert f"usr/local/include/python3.{MINOR}/full/full.h" in text
    assert f"usr/local/include/python3.{MINOR}/full/sub/more.h" in text
    assert f"{SITE}/full_pure.py" in text and f"{SITE}/full_plat.py" in text
    assert text["usr/local/bin/full-py"] == b"#!/usr/local/bin/python3\nprint('py')\n"
    assert text["usr/local/bin/full.sh"] == b"#!/bin/sh\necho sh\n"
    assert text["usr/local/bin/full-w"].startswith(b"#!/usr/local/bin/python3")
    assert b"from full import main" in text["usr/local/bin/full-run"]
    assert all(packages[f"usr/local/bin/{name}"][0].mode == 0o755 for name in ("full-py", "full.sh", "full-run"))
    assert packages["usr/local/share/full/page.html"][0].mode == 0o644
    assert text[f"{SITE}/full-1.0.dist-info/INSTALLER"].strip() == (b"uv" if uv else b"pip")
    assert text[f"{SITE}/full-1.0.dist-info/REQUESTED"] == b""
    record = record_of(packages, SITE, "full-1.0.dist-info")
    files = {path for path, (member, _) in packages.items() if member.isreg() and not path.endswith(".pyc")}
    if not uv:  # pip keeps the row of a script in whose place it puts its own
        del record[f"{SITE}/{SCRIPT}full-run"]
    assert set(record) == files
    for path, (digest, size) in record.items():
        if digest:
            assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text[path]).digest()).rstrip(b"=").decode()
            assert int(size) == len(text[path])


@pytest.mark.parametrize("file,part", [
    ("../../../etc/cron.d/x", "'../../../etc/cron.d/x' is no path inside of the package"),
    ("bad-1.0.data/scripts/../../../x", "is no path inside of the package"),
    ("/etc/passwd", "'/etc/passwd' is no path inside of the package"),
    ("bad-1.0.data/odd/x", "belongs to no scheme of a wheel"),
    ("bad-1.0.data/x", "belongs to no scheme of a wheel"),
])
def test_wheels_that_would_leave_their_place(tool, registry, source, file, part):  # noqa: F811
    images.wheel(source / "wheels", "bad", more={file: "x"})
    failed = build(tool, registry, source, "bad", requirements="bad\n", ok=False)
    assert failed["code"] == "invalid" and "bad-1.0-py3-none-any.whl" in failed["error"] and part in failed["error"]


VENV = [(f"opt/venv/bin/python3.{MINOR}", "python3"), ("opt/venv/bin/python3", "/usr/local/bin/python3"),
        ("opt/venv/pyvenv.cfg", f"home = /usr/local/bin\nversion = 3.{MINOR}.1\n".encode())]
OTHER = "usr/local/bin/python3.9", ("usr/local/bin/python3", "python3.9")
COPY = [("opt/venv/bin/python3", images.elf(b"\0/lib64/ld-linux-x86-64.so.2\0")),
        ("opt/venv/pyvenv.cfg", f"home = /usr/bin\nversion_info = 3.{MINOR}.1.final.0\n".encode())]
PREFIX = f"lib/python3.{MINOR}"


@pytest.mark.parametrize("layers,env,site,program,first", [
    ([LOCAL, VENV], ["PATH=/opt/venv/bin:/usr/local/bin", f"PYTHON_VERSION=3.{MINOR}.1"],
     f"opt/venv/{PREFIX}/site-packages", "opt/venv/bin", "/opt/venv/bin/python3"),
    ([LOCAL, VENV], ["PATH=/usr/local/bin:/opt/venv/bin"], SITE, "usr/local/bin", "/usr/local/bin/python3"),
    ([OTHER, COPY], ["PATH=/opt/venv/bin:/usr/local/bin", "PYTHON_VERSION=3.9.1"],
     f"opt/venv/{PREFIX}/site-packages", "opt/venv/bin", "/opt/venv/bin/python3"),
    ([LOCAL, [("usr/bin/python3", f"/usr/local/bin/python3.{MINOR}")]], ["PATH=/usr/bin"], SITE, "usr/local/bin", "/usr/bin/python3"),
    ([["usr/bin/", ("bin", "usr/bin"), f"usr/bin/python3.{MINOR}", ("usr/bin/python3", f"python3.{MINOR}")]], ["PATH=/bin:/usr/bin"],
     f"usr/{PREFIX}/site-packages", "usr/bin", "/bin/python3"),
    ([[f"opt/conda/bin/python3.{MINOR}", ("opt/conda/bin/python3", f"python3.{MINOR}"), f"opt/conda/{PREFIX}/os.py"]],
     ["PATH=/opt/conda/bin:/usr/bin"], f"opt/conda/{PREFIX}/site-packages", "opt/conda/bin", "/opt/conda/bin/python3"),
    ([["opt/py/bin/python3", f"opt/py/{PREFIX}/os.py"]], ["PATH=/opt/py/bin", "PYTHON_VERSION=3.9.1"],
     f"opt/py/{PREFIX}/site-packages", "opt/py/bin", "/opt/py/bin/python3"),
    ([["opt/py/bin/python3", f"opt/py/{PREFIX}/os.py", "opt/py/lib/python3.9/os.py"]],
     ["PATH=/opt/py/bin", f"PYTHON_VERSION=3.{MINOR}.1"], f"opt/py/{PREFIX}/site-packages", "opt/py/bin", "/opt/py/bin/python3"),
    ([LOCAL, [("opt/venv/bin/python3", "/gone")]], ["PATH=/opt/venv/bin:/usr/local/bin"], SITE, "usr/local/bin",
     "/usr/local/bin/python3"),
    ([LOCAL, VENV, ["opt/.wh.venv"]], ["PATH=/opt/venv/bin:/usr/local/bin"], SITE, "usr/local/bin", "/usr/local/bin/python3"),
    ([[f"usr/bin/python3.{MINOR}", ("usr/bin/python3", f"python3.{MINOR}"), f"usr/lib64/python3.{MINOR}/os.py"]], ["PATH=/usr/bin"],
     SITE, "usr/local/bin", "/usr/bin/python3"),
    ([LOCAL, [("srv/real/", b""), ("opt/venv", "/srv/real"), ("srv/real/bin/python3", "/usr/local/bin/python3"),
              ("srv/real/pyvenv.cfg", b"home = /usr/local/bin\n")]], ["PATH=/opt/venv/bin:/usr/local/bin"],
     f"srv/real/{PREFIX}/site-packages", "srv/real/bin", "/opt/venv/bin/python3"),
], ids=["venv", "venv-second", "venv-of-another", "link-elsewhere", "merged-usr", "conda", "by-library", "hint-decides", "broken-venv",
        "venv-taken-out", "lib64", "venv-behind-a-link"])
def test_the_python_that_will_run(tool, registry, source, layers, env, site, program, first):  # noqa: F811
    packages = build(tool, registry, source, "runs", layers=layers, env=env)
    assert f"{site}/tiny/__init__.py" in packages
    assert packages[f"{program}/tiny-run"][1].startswith(f"#!{first}\n".encode())
    assert f"../../../bin/tiny-run,sha256=" in packages[f"{site}/tiny-1.0.dist-info/RECORD"][1].decode()


def test_path_of_the_settings(tool, registry, source):  # noqa: F811
    """The docker setting `environment` is the PATH of the container."""
    packages = build(tool, registry, source, "path", layers=[LOCAL, VENV], env=["PATH=/usr/local/bin"],
                     environment={"PATH": "/opt/venv/bin:/usr/local/bin"})
    assert f"opt/venv/{PREFIX}/site-packages/tiny/__init__.py" in packages


def test_folders_of_the_base_stay_as_they_are(tool, registry, source):  # noqa: F811
    """No entry for what is there: it would change its mode, or put a folder in the place of a link."""
    images.wheel(source / "wheels", "full", more=FULL)
    layers = [LOCAL, [f"{SITE}/", "usr/local/share/man/", ("usr/local/etc", "../../etc"), "etc/"]]
    packages = build(tool, registry, source, "folders", layers=layers, requirements="full\n")
    assert "etc/full.conf" in packages and not any(path.startswith("usr/local/etc") for path in packages)
    there = {"usr", "usr/local", "usr/local/bin", "usr/local/share", "etc", SITE, os.path.dirname(SITE)}
    assert not there & set(packages)
    assert packages["usr/local/share/full"][0].isdir() and packages[f"{SITE}/full"][0].mode == 0o755


@BOTH
@pytest.mark.parametrize("change", ["folder", "address", "constraint-folder"])
def test_a_wheel_that_was_built_again(tool, registry, source, base, uv, change):  # noqa: F811
    """Under the same version and name: never the old one, and a build that changes nothing says so."""
    wheels = source / "wheels"
    file = images.wheel(wheels, "tiny", requires=["other"])
    args = build_args(source, f"{base}/official:1", f"{registry.host}/again/{change}:v1", uv=uv)
    if change == "address":
        args["requirements"] = f"tiny @ {file.as_uri()}\n"
    if change == "constraint-folder":
        args["requirements"], args["installer_args"] = f"--no-index\n--find-links {wheels}\ntiny\n", []
    first = tool("build", **args)
    assert tool("build", **args)["unchanged"]
    status = file.stat()
    images.wheel(wheels, "tiny", requires=["other"], body="VERSION = 'new'\n\n\ndef main():\n    pass\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = tool("build", **args)
    assert not second["unchanged"] and second["digest"] != first["digest"]
    assert packages_of(registry, second)[f"{SITE}/tiny/__init__.py"][1].startswith(b"VERSION = 'new'")
    file.touch()
    assert tool("build", **args)["unchanged"]


def test_a_base_that_moved(tool, registry, source):  # noqa: F811
    """Another Python under the same tag: its packages go where the new one looks."""
    images.push(registry, "bases/moving:1", [LOCAL])
    args = build_args(source, f"{registry.host}/bases/moving:1", f"{registry.host}/moving/a:v1")
    first = tool("build", **args)
    images.push(registry, "bases/moving:1", [LOCAL, VENV], env=["PATH=/opt/venv/bin"])
    second = tool("build", **args)
    name, manifest, _ = image_of(registry, second["reference"])
    assert not second["unchanged"] and second["digest"] != first["digest"]
    assert f"opt/venv/{PREFIX}/site-packages/tiny/__init__.py" in files_of(registry, name, manifest["layers"][-2])


GLIBC = "lib/x86_64-linux-gnu/libc.so.6"
ABI = f"cp3{MINOR}-cp3{MINOR}"


@pytest.mark.parametrize("layers,tag,fits", [
    ([(GLIBC, images.glibc(36))], f"{ABI}-manylinux_2_36_x86_64", True),
    ([(GLIBC, images.glibc(36))], f"{ABI}-manylinux_2_26_x86_64", True),
    ([(GLIBC, images.glibc(36))], f"{ABI}-manylinux_2_5_x86_64.manylinux1_x86_64", True),
    ([(GLIBC, images.glibc(36))], f"{ABI}-manylinux2010_x86_64", True),
    ([(GLIBC, images.glibc(36))], f"{ABI}-manylinux2014_x86_64", True),
    ([(GLIBC, images.glibc(36))], f"{ABI}-manylinux_2_37_x86_64", False),
    ([(GLIBC, images.glibc(36))], f"{ABI}-musllinux_1_2_x86_64", False),
    ([(GLIBC, images.glibc(36))], "cp39-abi3-manylinux_2_34_x86_64", True),
    ([(GLIBC, images.glibc(36))], f"cp3{MINOR + 1}-abi3-manylinux_2_34_x86_64", False),
    ([(GLIBC, images.glibc(36))], f"py2.py3-none-manylinux_2_31_x86_64", True),
    ([("usr/lib/x86_64-linux-gnu/libc-2.31.so", images.glibc(31)), ("usr/lib/x86_64-linux-gnu/libc.so.6", "libc-2.31.so"),
      ("lib", "usr/lib")], f"{ABI}-manylinux_2_31_x86_64", True),
    ([("lib64/libc.so.6", images.glibc(17))], f"{ABI}-manylinux_2_17_x86_64", True),
    ([("lib64/libc.so.6", images.glibc(17))], f"{ABI}-manylinux_2_28_x86_64", False),
    ([("lib/ld-musl-x86_64.so.1", images.musl(2))], f"{ABI}-musllinux_1_2_x86_64", True),
    ([("lib/ld-musl-x86_64.so.1", images.musl(2))], f"{ABI}-musllinux_1_1_x86_64", True),
    ([("lib/ld-musl-x86_64.so.1", images.musl(2))], f"{ABI}-manylinux_2_17_x86_64", False),
    ([(GLIBC, images.glibc(36)), ("opt/conda/x86_64-conda-linux-gnu/sysroot/lib64/libc.so.6", images.glibc(17))],
     f"{ABI}-manylinux_2_34_x86_64", True),
])
def test_wheels_that_the_c_library_takes(tool, registry, source, layers, tag, fits):  # noqa: F811
    images.wheel(source / "wheels", "many", tag=tag)
    done = build(tool, registry, source, "libc", layers=[[*LOCAL, *layers]], requirements="many\n", ok=fits)
    if fits:
        assert f"{SITE}/many/__init__.py" in done
    else:
        assert "no wheel for Python" in done["error"] and "many" in done["error"]


@pytest.mark.parametrize("uv,libc,best,others", [
    (False, 36, f"{ABI}-manylinux_2_34_x86_64", [f"{ABI}-manylinux_2_17_x86_64.manylinux2014_x86_64", "py3-none-any"]),
    (True, 36, f"{ABI}-manylinux_2_34_x86_64", [f"{ABI}-manylinux_2_17_x86_64.manylinux2014_x86_64", "py3-none-any"]),
    (False, 30, f"{ABI}-manylinux_2_17_x86_64", [f"{ABI}-manylinux_2_34_x86_64", "cp39-abi3-manylinux_2_28_x86_64"]),
    (False, 36, "cp39-abi3-manylinux1_x86_64", ["py3-none-manylinux_2_34_x86_64", "py3-none-any"]),
], ids=["pip", "uv", "older", "abi3"])
def test_the_best_wheel_of_several(tool, registry, source, uv, libc, best, others):  # noqa: F811
    for tag in (best, *others):
        images.wheel(source / "wheels", "many", tag=tag, body=f"TAG = '{tag}'\n")
    packages = build(tool, registry, source, "best", layers=[[*LOCAL, (GLIBC, images.glibc(libc))]], requirements="many\n", uv=uv)
    assert packages[f"{SITE}/many/__init__.py"][1].decode() == f"TAG = '{best}'\n"


@BOTH
@pytest.mark.parametrize("long", [False, True], ids=["space", "long"])
def test_nothing_of_this_machine(tool, registry, source, uv, long):  # noqa: F811
    """A Python in a folder with a space, or so deep that no first line can name it, and wheels named by their address."""
    folder = source / ("a b/the python" if not long else "/".join(["deep" * 10] * 4))
    folder.mkdir(parents=True)
    (folder / "venv").symlink_to(pathlib.Path(sys.executable).parent.parent)
    images.wheel(source / "wheels", "full", more=FULL)
    file = images.wheel(source / "wheels", "tiny")
    packages = build(tool, registry, source, "clean", requirements=f"full\ntiny @ {file.as_uri()}\n", uv=uv,
                     python=str(folder / "venv/bin/python"))
    for name in ("full-run", "full-py", "full-w", "tiny-run"):
        assert packages[f"usr/local/bin/{name}"][1].startswith(b"#!/usr/local/bin/python3\n"), packages[f"usr/local/bin/{name}"]
    assert f"{SITE}/tiny/__pycache__/__init__.cpython-3{MINOR}.pyc" in packages
    assert not [path for path in packages if "direct_url" in path or "uv_" in path]
    secret = [str(part).encode() for part in (source, folder, pathlib.Path(sys.executable).parent, "file://")]
    found = [(path, part) for path, (_, body) in packages.items() for part in secret if part in (body or b"")]
    assert not found


def test_a_long_way_to_the_interpreter_of_the_image(tool, registry, source):  # noqa: F811
    """No kernel reads a first line of more than 127 bytes: the shell finds it, as with pip."""
    home = "/".join(["long" * 10] * 4)
    layers = [[f"{home}/bin/python3.{MINOR}", (f"{home}/bin/python3", f"python3.{MINOR}")]]
    packages = build(tool, registry, source, "long", layers=layers, env=[f"PATH=/{home}/bin"])
    text = packages[f"{home}/bin/tiny-run"][1]
    assert text.startswith(f"#!/bin/sh\n'''exec' \"/{home}/bin/python3\" \"$0\" \"$@\"\n' '''\n".encode())
