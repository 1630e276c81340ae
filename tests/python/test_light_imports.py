# SPDX-License-Identifier: Apache-2.0
"""Modules that pydantic imports without need while the user's code is loaded: not there before somebody uses them. Its
search for plugins is quick where there is none, and complete where there is one."""
import json
import os
import subprocess
import sys
import zipfile

import pytest

from .conftest import PYTHON

LOAD = """
import json, sys
from kourou._source import Loading
with Loading():
    import mine
seen = {"light": "email" not in sys.modules and "hashlib" not in sys.modules,
        "stand-in": sorted({"importlib.metadata", "secrets", "platform"} & set(sys.modules))}
import importlib, importlib.metadata, secrets
assert type(secrets).__name__ == "module" and secrets.compare_digest("a", "a")
seen["real"] = hasattr(importlib.metadata, "PathDistribution") and importlib.metadata is importlib.import_module("importlib.metadata")
seen["version"] = importlib.metadata.version("pydantic")
seen["mine"] = getattr(mine, "SEEN", None)
seen["finders"] = [type(finder).__name__ for finder in sys.meta_path if type(finder).__name__ == "Loading"]
print(json.dumps(seen))
"""
MODEL = "from pydantic import BaseModel\nclass M(BaseModel):\n    x: int\n"
PLUGIN = """
from pydantic.plugin import PydanticPluginProtocol
class Plugin(PydanticPluginProtocol):
    def new_schema_validator(self, schema, schema_type, schema_type_path, schema_kind, config, plugin_settings):
        import builtins
        builtins.asked = getattr(builtins, "asked", 0) + 1
        return None, None, None
plugin = Plugin()
"""


def load(folder, source, *path):
    (folder / "mine.py").write_text(source)
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, cwd=folder,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [PYTHON, folder, *path]))})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_plugin_no_search(tmp_path):
    import pydantic

    assert load(tmp_path, MODEL) == {"light": True, "stand-in": [], "real": True, "version": pydantic.VERSION,
                                     "mine": None, "finders": []}


def test_without_pydantic_nothing_changes(tmp_path):
    seen = load(tmp_path, "X = 1\n")
    assert seen["real"] and seen["finders"] == []


@pytest.mark.parametrize("suffix", ["dist-info", "egg-info"])
def test_an_installed_plugin_is_asked(tmp_path, suffix):
    (tmp_path / "a_plugin.py").write_text(PLUGIN)
    about = tmp_path / f"a_plugin-1.0.{suffix}"
    about.mkdir()
    (about / "METADATA" if suffix == "dist-info" else about / "PKG-INFO").write_text(
        "Metadata-Version: 2.1\nName: a-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[pydantic]\nmine = a_plugin:plugin\n")
    seen = load(tmp_path, MODEL + "import builtins\nSEEN = builtins.asked\n")
    assert seen["mine"] >= 1 and seen["real"] and not seen["light"]


def test_a_plugin_in_an_archive_is_asked(tmp_path):
    with zipfile.ZipFile(tmp_path / "plugin.zip", "w") as archive:
        archive.writestr("a_plugin.py", PLUGIN)
        archive.writestr("a_plugin-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: a-plugin\nVersion: 1.0\n")
        archive.writestr("a_plugin-1.0.dist-info/entry_points.txt", "[pydantic]\nmine = a_plugin:plugin\n")
    seen = load(tmp_path, MODEL + "import builtins\nSEEN = builtins.asked\n", tmp_path / "plugin.zip")
    assert seen["mine"] >= 1


@pytest.mark.parametrize("use", [
    "from importlib import metadata\nSEEN = metadata.version('pydantic')\n",
    "import importlib.metadata\nSEEN = importlib.metadata.version('pydantic')\n",
    "from importlib.metadata import version, entry_points\nlist(entry_points(group='pydantic'))\nSEEN = version('pydantic')\n",
    "import importlib.metadata as m\nSEEN = next(d.version for d in m.distributions() if d.name == 'pydantic')\n",
])
def test_the_users_code_sees_the_real_module(tmp_path, use):
    import pydantic

    assert load(tmp_path, MODEL + use)["mine"] == pydantic.VERSION
    assert load(tmp_path, use + MODEL)["mine"] == pydantic.VERSION


@pytest.mark.parametrize("use", ["import platform\nSEEN = platform.system()\n",
                                 "from platform import system\nSEEN = system()\n",
                                 "import uuid\nassert uuid._LINUX\nimport platform\nSEEN = platform.uname().system\n"])
def test_the_users_code_has_platform(tmp_path, use):
    assert load(tmp_path, MODEL + use)["mine"] == "Linux"
    assert load(tmp_path, use + MODEL)["mine"] == "Linux"


@pytest.mark.parametrize("use", ["import secrets\nSEEN = len(secrets.token_hex(4))\n",
                                 "from secrets import token_hex\nSEEN = len(token_hex(4))\n",
                                 "from pydantic import types\nSEEN = len(types.secrets.token_hex(4))\n"])
def test_the_users_code_has_secrets(tmp_path, use):
    assert load(tmp_path, MODEL + use)["mine"] == 8
    assert load(tmp_path, use + MODEL)["mine"] == 8


def test_threads_may_ask_at_once(tmp_path):
    ask = ("from concurrent.futures import ThreadPoolExecutor\nfrom pydantic import types\n"
           "with ThreadPoolExecutor(16) as pool:\n"
           "    SEEN = sum(pool.map(lambda _: types.secrets.compare_digest('a', 'a'), range(64)))\n")
    assert load(tmp_path, MODEL + ask)["mine"] == 64
