# SPDX-License-Identifier: Apache-2.0
"""What the compiler reports of the files that a pipeline's code loads and reads, and that it is served from a copy."""
import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

PIPELINE = '''
from kourou import pipeline, step


@step
def work(x: int) -> int:
    return x


@pipeline
def my_pipeline(x: int = 1):
    return work(x)
'''
BOOT = "python/kourou/_boot.py"
SERVE = """
import json, sys
sys.path.append(sys.argv[3])
from kourou.runtime import load
runner = load(json.load(open(sys.argv[1])), sys.argv[2])
print(json.dumps(json.loads(runner.invoke(b'{"parameters":{"x":3}}', "0" * 36)[1])["outputs"]))
"""


class Project:
    def __init__(self, root, folder):
        self.repository, self.folder, self.python = root, folder, sys.executable
        self.put("my_module.py", PIPELINE)

    def put(self, name, text=""):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text) if isinstance(text, str) else path.write_bytes(text)

    def compile(self, source="my_module.my_pipeline", **env):
        output = self.folder.parent / "snapshot.json"
        done = subprocess.run([self.python, str(self.repository / BOOT), "compile", source, "--root", str(self.folder),
                               "--output", str(output)], cwd=self.folder, env={**clean(), **env}, capture_output=True,
                              text=True, timeout=60)
        document = json.loads(output.read_text())
        assert "error" not in document, document
        self.out = done.stderr
        return document

    def needs(self, *arguments, **env):
        """{path: entry} of what is needed below the root, and outside."""
        needs = self.compile(*arguments, **env)["needs"]
        return ({entry["path"]: entry for entry in needs["files"]}, {entry["path"]: entry for entry in needs["outside"]})

    def serve_copy(self, document):
        """The outputs of a run in a copy at another place, with nothing of this place in the environment."""
        copy = self.folder.parent / "copy"
        shutil.copytree(self.folder, copy)
        snapshot = {key: value for key, value in document.items() if key != "needs"}
        assert str(self.folder) not in json.dumps(snapshot)
        path = self.folder.parent / "sent.json"
        path.write_text(json.dumps(snapshot))
        self.folder.rename(self.folder.parent / "gone")
        done = subprocess.run([sys.executable, "-c", SERVE, str(path), str(copy), str(self.repository / "python")],
                              cwd=self.folder.parent, env=clean(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def clean():
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "KOUROU"))}


@pytest.fixture
def project(root, tmp_path):
    (tmp_path / "source").mkdir()
    return Project(root, tmp_path / "source")


def test_modules_and_data(project):
    project.put("helper.py", "K = 1\n")
    project.put("pkg/__init__.py")
    project.put("pkg/data.json", "{}")
    project.put("space/inner.py")
    project.put("table.csv", "1")
    project.put("data.db")
    project.put("my_module.py", "import os, sqlite3, helper, space.inner, pkg\nfrom importlib import resources\n"
                "resources.files('pkg').joinpath('data.json').read_text()\n"
                "os.close(os.open('table.csv', os.O_RDONLY))\nsqlite3.connect('data.db').close()\n" + PIPELINE)
    files, outside = project.needs()
    assert {path: entry["why"] for path, entry in files.items()} == {
        "helper.py": "imported", "pkg/__init__.py": "imported", "space/inner.py": "imported", "my_module.py": "imported",
        "pkg/data.json": "read", "table.csv": "read", "data.db": "read"}
    assert files["table.csv"]["by"] == "my_module.py:4" and "library" not in files["table.csv"]
    assert outside == {}


def test_what_is_made_or_deleted_is_not_needed(project):
    project.put("deleted.txt", "x")
    project.put("log.txt", "x")
    project.put("my_module.py", """
import os, sqlite3, tempfile
open("made.txt", "w").write("x"); open("made.txt").read()
open("log.txt", "a").write("x")
open("deleted.txt").read(); os.unlink("deleted.txt")
sqlite3.connect("made.db").close()
with tempfile.NamedTemporaryFile(dir="."): pass
try:
    open("missing.txt")
except OSError:
    pass
""" + PIPELINE)
    files, outside = project.needs()
    assert set(files) == {"my_module.py"} and outside == {}


def test_relative_to_a_folder_that_changes(project):
    project.put("data/a.txt", "x")
    project.put("my_module.py", "import os\nos.chdir('data')\nopen('a.txt').read()\nos.chdir('/')\n" + PIPELINE)
    assert "data/a.txt" in project.needs()[0]


def test_code_that_is_executed_or_has_no_file(project):
    project.put("code.py", "K = open('k.txt').read()\n")
    project.put("k.txt", "x")
    project.put("my_module.py", """
import sys, types
exec(open("code.py").read())
sys.modules["odd"] = types.ModuleType("odd")
sys.modules["odder"] = None
sys.modules["oddest"] = object()
del sys.modules["json"]
import gone
del sys.modules["gone"]
""" + PIPELINE)
    project.put("gone.py")
    files, _outside = project.needs()
    assert {"code.py", "k.txt", "gone.py"} <= set(files)
    assert files["k.txt"]["by"] == "my_module.py:3"


def test_archives_and_libraries(project):
    with zipfile.ZipFile(project.folder / "lib.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "K = 1\n")
    library = next(p for p in (f"/lib/{os.uname().machine}-linux-gnu/libm.so.6", "/lib64/libm.so.6") if os.path.exists(p))
    project.put("libx.so", open(library, "rb").read())
    project.put("my_module.py", "import ctypes, sys\nsys.path.insert(0, 'lib.zip')\nimport zipped\n"
                "ctypes.CDLL('./libx.so')\n" + PIPELINE)
    assert {"lib.zip", "libx.so"} <= set(project.needs()[0])


def test_a_name_that_is_not_utf_8(project):
    name = os.fsencode(str(project.folder)) + b"/d\xff.txt"
    with open(name, "wb") as file:
        file.write(b"x")
    project.put("my_module.py", "open(b'd\\xff.txt').read()\n" + PIPELINE)
    assert project.needs()[0]["d\\xff.txt"]["odd"] is True


def test_ten_thousand_files(project):
    (project.folder / "data").mkdir()
    project.put("my_module.py", "import os\nfor i in range(10000):\n    open(f'data/{i}', 'w').close()\n" + PIPELINE)
    project.compile()
    project.put("my_module.py", "for i in range(10000):\n    open(f'data/{i}').close()\n" + PIPELINE)
    assert len(project.needs()[0]) == 10001


def test_files_outside(project):
    repository = project.folder.parent
    (repository / ".git").mkdir()
    for name in ("shared/util.py", "shared/table.csv", "home/.config/x.ini", "home/data.bin"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("")
    project.put("my_module.py", "import sys\nsys.path.insert(0, '../shared')\nimport util\nopen('../shared/table.csv')\n"
                "open('/etc/hosts')\n" + PIPELINE)
    files, outside = project.needs()
    assert set(files) == {"my_module.py"}
    assert {os.path.basename(path): entry["why"] for path, entry in outside.items()} == {
        "util.py": "imported", "table.csv": "read"}
    (repository / ".git").rmdir()
    outside = project.needs()[1]
    assert {os.path.basename(path): entry.get("elsewhere", False) for path, entry in outside.items()} == {
        "util.py": False, "table.csv": True}


def test_links(project):
    real = project.folder.parent / "real"
    project.folder.rename(real)
    project.folder.symlink_to(real)
    project.put("lib/helper.py")
    (real / "alias").symlink_to("lib")
    project.put("my_module.py", f"import sys\nsys.path.insert(0, {str(real / 'alias')!r})\nimport helper\n" + PIPELINE)
    document = project.compile()
    assert {entry["path"] for entry in document["needs"]["files"]} == {"alias/helper.py", "my_module.py"}
    assert document["needs"]["outside"] == [] and document["python"]["paths"] == ["alias"]


# -- source roots ------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["PYTHONPATH", "declared", "where", "src"])
def test_src_layout(project, how):
    folder = {"declared": "lib", "where": "code"}.get(how, "src")
    project.put(f"{folder}/pkg/__init__.py")
    project.put(f"{folder}/pkg/other.py", "K = 4\n")
    project.put(f"{folder}/pkg/m.py", "from pkg.other import K\n" + PIPELINE.replace("return x", "return x + K"))
    text = {"declared": '[tool.setuptools]\npackage-dir = {"" = "lib"}\n',
            "where": '[tool.setuptools.packages.find]\nwhere = ["code"]\n'}.get(how, "")
    project.put("pyproject.toml", text)
    document = project.compile("pkg.m.my_pipeline", **({"PYTHONPATH": "src"} if how == "PYTHONPATH" else {}))
    assert document["python"]["paths"] == [folder]
    assert project.serve_copy(document) == {"output": 7}


def test_paths_keep_their_order(project):
    project.put("b/one.py", "K = 'b'\n")
    project.put("a/one.py", "K = 'a'\n")
    project.put("a/two.py")
    project.put("my_module.py", "import sys\nsys.path[:0] = ['b', 'a']\nimport one, two\nassert one.K == 'b'\n" + PIPELINE)
    assert project.compile()["python"]["paths"] == ["b", "a"]


def test_equal_code_at_another_place_gives_an_equal_snapshot(project, tmp_path):
    project.put("src/pkg.py")
    project.put("my_module.py", "import pkg\n" + PIPELINE)
    first = project.compile(PYTHONPATH="src")
    project.folder = project.folder.rename(tmp_path / "another place")
    assert project.compile(PYTHONPATH="src") == first


PROJECTS = {
    "srclib": '[tool.setuptools.packages.find]\nwhere = ["src"]\n',
    "flatlib": '[tool.setuptools]\npackages = ["flatlib"]\n',
    "renamed": '[tool.setuptools]\npackages = ["renamed"]\npackage-dir = {renamed = "code"}\n',
}
FOLDERS = {"srclib": "src/srclib", "flatlib": "flatlib", "renamed": "code"}


@pytest.fixture
def editable(project, root):
    """The project's libraries, installed in editable form into an environment of its own."""
    environment = project.folder.parent / "environment"
    (environment / "bin").mkdir(parents=True)
    ours = next((root / ".venv/lib").resolve().glob("python3*/site-packages"))
    site = environment / "lib" / ours.parent.name / "site-packages"
    site.mkdir(parents=True)
    (site / "ours.pth").write_text(f"{ours}\n")
    shutil.copy(root / ".venv/pyvenv.cfg", environment)
    project.python = str(environment / "bin/python")
    os.symlink(os.path.realpath(root / ".venv/bin/python"), project.python)
    for name, text in PROJECTS.items():
        project.put(f"libs/{name}/pyproject.toml", '[build-system]\nrequires = ["setuptools"]\n'
                    'build-backend = "setuptools.build_meta"\n'
                    f'[project]\nname = "{name}"\nversion = "1"\n{text}')
        project.put(f"libs/{name}/{FOLDERS[name]}/__init__.py", "K = 1\n")
        project.put(f"libs/{name}/{FOLDERS[name]}/deeper.py", "K = 10\n")
    subprocess.run([project.python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index",
                    "--disable-pip-version-check", *(arg for name in PROJECTS for arg in ("-e", f"libs/{name}"))],
                   cwd=project.folder, env=clean(), check=True, timeout=120)
    return project


def test_editable_installs(editable):
    editable.put("my_module.py", "import srclib.deeper, flatlib.deeper, renamed.deeper\n" + PIPELINE.replace(
        "return x", "return x + srclib.K + flatlib.deeper.K + renamed.deeper.K"))
    document = editable.compile()
    assert sorted(document["python"]["paths"]) == ["libs/flatlib", "libs/srclib/src"]
    assert document["python"]["modules"] == {"renamed": "libs/renamed/code"}
    files = {entry["path"] for entry in document["needs"]["files"]}
    assert {"libs/srclib/src/srclib/deeper.py", "libs/flatlib/flatlib/__init__.py", "libs/renamed/code/deeper.py"} <= files
    assert document["needs"]["outside"] == []
    moved = editable.folder.parent / "elsewhere"
    (editable.folder / "libs").rename(moved)
    (editable.folder / "libs").symlink_to(moved)
    inside = editable.compile()["needs"]
    assert inside["outside"] == []  # a link in the root is looked at where the files are sent from
    shutil.rmtree(editable.folder.parent / "copy", ignore_errors=True)
    (editable.folder / "libs").unlink()
    moved.rename(editable.folder / "libs")
    assert editable.serve_copy(document) == {"output": 24}


def test_editable_install_outside_of_the_root(editable):
    app = editable.folder / "app"
    app.mkdir()
    (app / "my_module.py").write_text("import srclib.deeper\n" + PIPELINE)
    editable.folder = app
    files, outside = editable.needs()
    assert set(files) == {"my_module.py"}
    assert {os.path.basename(path) for path in outside} == {"__init__.py", "deeper.py"}
    assert all(entry["why"] == "imported" for entry in outside.values())
