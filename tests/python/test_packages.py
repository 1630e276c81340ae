# SPDX-License-Identifier: Apache-2.0
"""What requirements bring along, and where packages come from, on environments made of files."""
import sys

import pytest


@pytest.fixture
def packages():
    from kourou import _packages

    return _packages


@pytest.fixture
def site(tmp_path, monkeypatch):
    import packaging.markers  # noqa: F401 - of the environment that the tests run in

    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *(p for p in sys.path if "site-packages" not in p)])

    def install(name, requires=(), files=(), version="1.0", more=None, newline="\n"):
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}",
                 *(f"Requires-Dist: {line}" for line in requires), "", "Requires-Dist: not-this", "Name: nor-this"]
        (info / "METADATA").write_bytes(newline.join(lines).encode())
        (info / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in files))
        for file, text in (more or {}).items():
            (info / file).write_text(text)
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("")
        return folder

    return install


def test_closure(packages, site):
    site("a", ["b>=1 ; python_version > '3'", "c[x]", "w; sys_platform == 'win32'", "e ; extra == 'more'"], newline="\r\n")
    site("b", ["B.Two"])
    site("b-two", ["a"])  # a circle
    site("c", ["d; extra == 'x'", "never; extra == 'y'"])
    wanted = ["b", "B_two", "c", "d", "e", "w", "never", "other", "not-this"]
    assert packages.provides(["A==1 --hash=sha256:00"], wanted) == {
        "missing": ["e", "w", "never", "other", "not-this"], "unknown": []}
    assert packages.provides(["a[More]"], ["e"]) == {"missing": [], "unknown": []}
    assert packages.provides(["a ; sys_platform == 'win32'"], ["a", "b"])["missing"] == ["a", "b"]
    assert packages.provides(["--index-url https://x", "-e git+https://h/x#egg=a", "zz", "git+https://h/y"], ["b"]) == {
        "missing": [], "unknown": ["zz", "git+https://h/y"]}
    assert packages.provides(["c @ https://h/c.whl ; python_version > '3'", "a@https://h/a"], ["c", "d"])["missing"] == []


def test_without_a_library_for_markers_only_extras_count(packages, site, monkeypatch):
    for home in ("packaging.markers", "pip._vendor.packaging.markers", "setuptools._vendor.packaging.markers"):
        monkeypatch.setitem(sys.modules, home, None)
    site("a", ["w; sys_platform == 'win32'", 'e ; extra == "more"'])
    assert packages.provides(["a"], ["w", "e"])["missing"] == ["e"]
    assert packages.provides(["a[more]"], ["w", "e"])["missing"] == []


def test_older_metadata(packages, site, tmp_path):
    info = tmp_path / "site-packages" / "old.egg-info"
    site("new")
    site("late")
    info.mkdir()
    (info / "PKG-INFO").write_text("Name: old\nVersion: 2\n")
    (info / "requires.txt").write_text("new>=1\n\n[more]\nlate\n\n[:sys_platform == 'win32']\nwin\n")
    assert packages.provides(["old"], ["new", "late", "win"])["missing"] == ["late", "win"]
    assert packages.provides(["old[more]"], ["late"])["missing"] == []


def test_owner_and_line(packages, site):
    folder = site("scikit-thing", files=["skthing/__init__.py"], version="1.2+cpu")
    site("other", files=["thing/a.py"], more={"direct_url.json": '{"url": "https://h/x", "vcs_info": {"vcs": "git", "commit_id": "ab"}}'})
    site("web", files=["web/__init__.py"], more={"direct_url.json": '{"url": "https://h/web.whl", "archive_info": {}}'})
    site("odd", files=["odd/__init__.py"], more={"direct_url.json": "[}"})
    found = packages.Packages()
    owner = {name: found.owner(str(folder / name), name.split("/")[0]) for name in (
        "skthing/__init__.py", "thing/a.py", "web/__init__.py", "odd/__init__.py")}
    assert [found.line(info) for info in owner.values()] == [
        "scikit-thing==1.2", "other @ git+https://h/x@ab", "web @ https://h/web.whl", "odd==1.0"]
    assert found.owner(str(folder / "nobody/__init__.py"), "nobody") is None
    assert found.owner("/elsewhere/skthing/__init__.py", "skthing") is None


@pytest.mark.parametrize("text", ["", "[project\n", "[project]\nname='x'\ndynamic=['dependencies']\ndependencies='no'\n"])
def test_projects_that_cannot_be_added_to(packages, text):
    with pytest.raises((ValueError, TypeError)):
        packages.add_to_project(text, ["a==1"])
