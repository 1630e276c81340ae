# SPDX-License-Identifier: Apache-2.0
"""What the program needs of the machine around it, and does without: a home, shared libraries."""
import os
import shutil
import subprocess
import tempfile

import pytest

from tests.conftest import needs


@pytest.fixture
def nobody(build_dir):
    """Runs the program as a user whom no file knows, with this environment alone."""
    needs(os.geteuid() == 0, "root, to become another user")
    folder = tempfile.mkdtemp(prefix="kourou-")
    os.chmod(folder, 0o755)
    shutil.copy(build_dir / "kourou", folder)

    def run(*args, **env):
        return subprocess.run(["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", f"{folder}/kourou", *args],
                              capture_output=True, text=True, env={"PATH": os.environ["PATH"], **env}, cwd="/")

    yield run
    shutil.rmtree(folder)


def test_a_user_without_a_home(nobody, tmp_path):
    done = nobody("secret", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("Error: there is no folder for records: HOME is not set, and user 54321 has no home\n"
                           "  set KOUROU_HOME to a folder that can be written\n")
    assert nobody("doctor").returncode == 1
    place = tempfile.mkdtemp(prefix="kourou-")
    os.chown(place, 54321, 54321)
    assert nobody("secret", "list", KOUROU_HOME=place).returncode == 0
    assert not os.path.exists("/.local/share/kourou") and not os.path.exists("/.config/kourou")
    shutil.rmtree(place)


@pytest.mark.parametrize("content,reason", [(b"", "file too short"), (b"no library" * 100, "invalid ELF header")])
def test_a_library_that_is_broken(kourou, project, tmp_path, content, reason):
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "libcurl.so.4").write_bytes(content)
    (folder / "libcurl-gnutls.so.4").write_bytes(content)
    kourou("deployer", "register", "hf", "--flavor=huggingface", "--token=hf_aBcDeFgH", check=0)
    kourou("stack", "register", "hf", "-D", "hf", "-a", "default", "-o", "default", "--set", check=0)
    done = kourou("pipeline", "deploy", "--name", "x", "--dry-run", "my_module.my_pipeline",
                  env={**os.environ, "LD_LIBRARY_PATH": str(folder), "HF_ENDPOINT": "http://127.0.0.1:9"}, check=1)
    assert f"Error: the library libcurl.so.4 cannot be used: " in done.stderr and reason in done.stderr
    assert done.stderr.endswith("  install it, or the whole package, again\n")


def test_what_is_wrong_with_an_address_is_said_without_its_password(kourou, project):
    kourou("deployer", "register", "hf", "--flavor=huggingface", "--token=hf_aBcDeFgH", check=0)
    kourou("stack", "register", "hf", "-D", "hf", "-a", "default", "-o", "default", "--set", check=0)
    done = kourou("pipeline", "deploy", "--name", "x", "--dry-run", "my_module.my_pipeline",
                  env={**os.environ, "HF_ENDPOINT": "https://me:s3cret-word@hub.invalid"}, check=1)
    assert "'https://***@hub.invalid' is not an address of a Hub" in done.stderr
    assert "s3cret-word" not in done.stderr + done.stdout


def test_codes_for_the_terminal_in_foreign_errors(kourou):
    done = kourou("secret", "get", "x\x1b[31mred\x07", check=1)
    assert done.stderr.startswith("Error: no secret 'x") and not set("\x1b\x07") & set(done.stderr)
