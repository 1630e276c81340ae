# SPDX-License-Identifier: Apache-2.0
"""integration and doctor: what is there and what is missing."""
import json
import os

import pytest


def test_built_in(kourou, project):
    for verb in ("install", "upgrade", "uninstall"):
        done = kourou("integration", verb, "huggingface", check=0)
        assert "The integration 'huggingface' is built in: nothing needs to be installed\n" in done.stderr
        for check in ("python", "docker", "hugging face token"):
            assert any(line[6:].startswith(check) for line in done.stdout.splitlines()), done.stdout


def test_unknown(kourou):
    for verb in ("install", "uninstall", "upgrade", "requirements", "export-requirements"):
        done = kourou("integration", verb, "hugingface", check=1)
        assert done.stderr == "Error: there is no integration 'hugingface'\n  did you mean 'huggingface'?\n"
    assert kourou("integration", "install", "-i", "nonsense", check=1).stderr == (
        "Error: there is no integration 'nonsense'\n")


def test_list(kourou, project):
    page = json.loads(kourou("integration", "list", "-o", "json", check=0).stdout)
    by_name = {row["integration"]: row for row in page["items"]}
    assert by_name["huggingface"]["installed"] is True and by_name["huggingface"]["built_in"] is True
    text = kourou("integration", "list", check=0).stdout
    assert text.splitlines()[0] == "INSTALLED  INTEGRATION        REQUIRED PACKAGES"
    assert any(line.split() == ["yes", "huggingface", "built", "in"] for line in text.splitlines())
    assert kourou("integration", "list", "-o", "csv", check=0).stdout.startswith(
        "installed,integration,required_packages\n")


def test_requirements(kourou, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kourou("integration", "requirements", "sklearn", check=0).stdout == "sklearn: scikit-learn\n"
    assert kourou("integration", "export-requirements", "sklearn", "scipy", check=0).stdout == "scikit-learn scipy"
    done = kourou("integration", "export-requirements", "sklearn", "scipy", "-o", "r.txt", check=0)
    assert (done.stdout, done.stderr) == ("", "Wrote 2 requirements to 'r.txt'\n")
    assert (tmp_path / "r.txt").read_text() == "scikit-learn\nscipy\n"
    done = kourou("integration", "export-requirements", "scipy", "-o", "r.txt", check=1)
    assert "Replace the file 'r.txt'?" in done.stderr
    assert (tmp_path / "r.txt").read_text() == "scikit-learn\nscipy\n"
    kourou("integration", "export-requirements", "scipy", "-o", "r.txt", "--overwrite", check=0)
    assert (tmp_path / "r.txt").read_text() == "scipy\n"
    assert kourou("integration", "export-requirements", "scipy", "--installed-only", check=2).stderr == (
        "Error: give either names or --installed-only\n"
        "  'kourou integration export-requirements --help' shows how it is used\n")


@pytest.fixture
def fake_python(tmp_path, monkeypatch):
    """A Python whose pip only writes down what it was asked for."""
    folder = tmp_path / "venv/bin"
    folder.mkdir(parents=True)
    script = folder / "python"
    log = tmp_path / "pip.log"
    script.write_text("#!/bin/sh\n"
                      f'if [ "$2" = pip ]; then shift 2; echo "$@" >>{log}; exit "${{PIP_STATUS:-0}}"; fi\n'
                      'echo \'{"environment": true, "pip": true, "packages": {"scipy": true}}\'\n')
    script.chmod(0o755)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    return log


def test_packages_are_installed_into_the_users_python(kourou, fake_python, monkeypatch):
    done = kourou("integration", "install", "sklearn", check=1)
    python = f"{fake_python.parent}/venv/bin/python (the active virtual environment (VIRTUAL_ENV))"
    assert done.stderr.splitlines()[0].endswith(f"Install these packages into {python}: scikit-learn?")
    assert not fake_python.exists()
    assert kourou("integration", "install", "sklearn", "-y", check=0).stderr == (
        f"Installing into {python}\nInstalled: scikit-learn\n")
    assert kourou("integration", "install", "scipy", "-y", check=0).stderr == f"All of this is installed in {python} already\n"
    assert kourou("integration", "uninstall", "sklearn", "-y", check=0).stderr == f"Nothing of this is installed in {python}\n"
    kourou("integration", "uninstall", "scipy", "-y", check=0)
    kourou("integration", "upgrade", "scipy", "-y", check=0)
    assert fake_python.read_text().splitlines() == [
        "install -q scikit-learn", "uninstall -q -y scipy", "install --upgrade -q scipy"]
    monkeypatch.setenv("PIP_STATUS", "3")
    assert kourou("integration", "install", "sklearn", "-y", check=1).stderr.splitlines(True)[1].startswith(
        "Error: pip failed with exit status 3\n")


def findings(kourou, status):
    return {row["check"]: row for row in json.loads(kourou("doctor", "-o", "json", check=status).stdout)}


def test_doctor(kourou, project, monkeypatch):
    found = findings(kourou, 0)
    for check in ("store", "secrets", "configuration", "data", "disk", "kourou-serve", "python"):
        assert found[check]["status"] == "ok", found[check]
    assert "pydantic 2" in found["python"]["detail"]
    assert "0.1.0" in found["kourou-serve"]["detail"]
    assert found["hugging face token"]["status"] == "warn"
    monkeypatch.setenv("HF_TOKEN", "hf_neverShown123")
    done = kourou("doctor", check=0)
    assert "HF_TOKEN" in done.stdout and "hf_neverShown123" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[0].startswith("ok    store ")


def test_doctor_finds_a_token_in_a_deployer(kourou):
    kourou("deployer", "register", "d", "-f", "huggingface", "--secret_name=t", check=0)
    assert findings(kourou, 0)["hugging face token"]["detail"] == "a registered deployer has one"


def test_doctor_with_a_damaged_store(kourou, home):
    kourou("secret", "create", "s", "--a=bcdefgh", check=0)
    (home / "kourou/store.db").write_bytes(b"not a database at all" * 100)
    for name in ("store.db-wal", "store.db-shm"):
        (home / "kourou" / name).unlink(missing_ok=True)
    found = findings(kourou, 1)
    assert found["store"]["status"] == "fail" and found["store"]["hint"]
    assert kourou("doctor", check=1).stderr == "Error: 1 check failed\n"


def test_doctor_with_another_key(kourou, home, monkeypatch):
    kourou("secret", "create", "s", "--a=bcdefgh", check=0)
    monkeypatch.setenv("KOUROU_ENCRYPTION_KEY", "another key than before, long enough")
    found = findings(kourou, 1)
    assert found["secrets"]["status"] == "fail" or found["store"]["status"] == "fail"


def test_doctor_sees_folders_open_to_others(kourou, home):
    kourou("stack", "list", check=0)
    os.chmod(home / "kourou", 0o755)
    found = findings(kourou, 0)
    assert found["data"]["status"] == "warn" and found["data"]["hint"] == f"chmod 700 {home}/kourou"


def test_doctor_without_the_serving_program(kourou, home, monkeypatch):
    monkeypatch.setenv("KOUROU_RUNTIME_DIR", str(home))
    assert findings(kourou, 1)["kourou-serve"]["status"] == "fail"
