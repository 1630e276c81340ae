# SPDX-License-Identifier: Apache-2.0
"""What leaves the machine with a deploy to a Space, and what never does."""
import base64
import json
import os
import re
import shutil
import sqlite3
import subprocess
import urllib.parse

import pytest

from tests.e2e.conftest import SPACE

VALUE = "wq7-Planted&Secret/81fe"
TOKEN = "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"


@pytest.fixture
def secret(ready):
    """A project whose deployment uses the secret VALUE."""
    ready.run("secret", "create", "app", f"--api_key={VALUE}", check=0)
    ready.run("deployer", "update", "hf", "--secret", "app", check=0)
    return ready


def sent(hub):
    """Paths in the Space that are the project's."""
    return {path for path in hub.space(SPACE).state()["files"]
            if not path.startswith(".kourou/") and path not in (".gitattributes", ".dockerignore", "Dockerfile", "README.md")}


def warnings(done):
    return re.sub(r"\s+", " ", done.stderr)


def refused(project, hub, *parts):
    """The deploy stops before anything was made, and says these things but not the value."""
    done = project.deploy(check=1)
    said = warnings(done)
    for part in parts:
        assert part in said, (part, said)
    assert VALUE not in said and TOKEN not in said
    assert not hub.space(SPACE).exists()
    assert all(e["method"] == "GET" for e in hub.log("hub")), "something was sent"
    return said


def test_a_home_in_the_project_never_leaves(ready, hub, token, tmp_path):
    """The home in use, a forgotten one, parts of one, copies under other names."""
    project = ready
    project.env["KOUROU_HOME"] = str(project.folder / "state")
    project.stack(token)
    project.run("secret", "create", "app", f"--api_key={VALUE}", check=0)
    project.run("deployer", "update", "hf", "--secret", "app", check=0)
    home, folder = tmp_path / "home/kourou", project.folder
    (folder / "lib").mkdir()
    shutil.copytree(home, folder / "lib/old-things")
    shutil.copy(folder / "state/store.db", folder / "lib/weights.bin")
    shutil.copy(folder / "state/encryption.key", folder / "lib/notes.txt")
    with sqlite3.connect(folder / "state/store.db") as db:
        (folder / "dump.sql").write_text("\n".join(["PRAGMA foreign_keys=OFF;", *db.iterdump()]))
    db.close()
    for name in ("store.db-wal", "store.db-shm"):
        if (folder / "state" / name).exists():
            shutil.copy(folder / "state" / name, folder / "lib" / f"x{name}")
    shutil.copytree(home, folder / "lib/parts/b0e1c64c-5c1d-4f0e-8a55-2a8d5f8f2f6e")
    (folder / "lib/model.db").write_bytes(b"")
    own = sqlite3.connect(folder / "lib/own.db")
    own.execute("CREATE TABLE mine(x)")
    own.commit()
    own.close()
    for _ in range(2):
        done = project.deploy(check=0)
    assert sent(hub) == {"my_module.py", "lib/model.db", "lib/own.db"}
    assert "'state'" in warnings(done) and "'lib/notes.txt'" in warnings(done)
    assert "belong to Kourou and were left out" in warnings(done)


@pytest.mark.parametrize("form", ["plain", "base64", "percent", "json", "hex", "readme"])
def test_a_known_value_stops_the_deploy(secret, hub, form):
    text = {"plain": VALUE, "base64": base64.b64encode(f"user:{VALUE}".encode()).decode(),
            "percent": urllib.parse.quote(VALUE, safe=""), "json": json.dumps(VALUE).replace("/", "\\/"),
            "hex": VALUE.encode().hex(), "readme": f"# My app\n{VALUE}"}[form]
    if form == "readme":
        (secret.folder / "README.md").write_text(text)
        refused(secret, hub, "README.md:2", "the value of a secret")
    else:
        (secret.folder / "config.py").write_text(f"# first\n\nKEY = {text!r}\n")
        refused(secret, hub, "config.py:3", "the value of a secret", "'/config.py' in .kourouignore")


def test_the_hub_token_stops_the_deploy(ready, hub):
    made = hub.make_token("alice")
    made = made if isinstance(made, str) else made["token"]
    ready.run("secret", "update", "hf_token", f"--token={made}", check=0)
    (ready.folder / "config.py").write_text(f'TOKEN = "{made}"\n')
    assert made not in refused(ready, hub, "config.py:1")


def test_a_key_in_use_stops_the_deploy_wherever_it_stands(secret, hub, tmp_path):
    key = (tmp_path / "home/kourou/encryption.key").read_text().strip()
    (secret.folder / "config.py").write_text(f'"""Nothing."""\nKEY = "{key}"\n')
    refused(secret, hub, "config.py:2")


def test_a_value_in_variables_and_settings_stops_the_deploy(secret, hub):
    config = secret.folder.parent / "config.yaml"
    config.write_text(json.dumps({"environment": {"SOMETHING": f"x{VALUE}"}}))
    done = secret.deploy("--config", config, check=1)
    assert "the variables of the Space would hold a secret value" in warnings(done)
    config.write_text(json.dumps({"settings": {"docker": {"environment": {"A": VALUE}}}}))
    done = secret.deploy("--config", config, check=1)
    assert "Dockerfile would hold a secret value" in warnings(done)
    assert not hub.space(SPACE).exists()


def test_a_lookalike_stops_a_public_space_and_warns_for_a_private_one(ready, hub):
    (ready.folder / "lib").mkdir()
    (ready.folder / "lib/use.py").write_text(f'\nTOKEN = "{TOKEN}"\n')
    refused(ready, hub, "lib/use.py:2 (a Hugging Face token)", "the Space is public", "--allow-secret 'lib/use.py'")
    ready.run("deployer", "update", "hf", "--private=True", check=0)
    done = ready.deploy(check=0)
    assert "lib/use.py:2 (a Hugging Face token) looks like a live credential and is sent" in warnings(done)
    assert TOKEN not in done.stderr


def test_a_lookalike_is_sent_when_it_is_allowed_by_name(ready, hub):
    (ready.folder / "use.py").write_text(f'TOKEN = "{TOKEN}"\n')
    (ready.folder / "other.py").write_text(f'TOKEN = "{TOKEN}"\n')
    refused(ready, hub, "other.py:1", "use.py:1")
    done = ready.deploy("--allow-secret", "use.py", check=1)
    assert "other.py:1" in warnings(done) and "use.py:1" not in warnings(done)
    done = ready.deploy("--allow-secret", "not-there.py", check=2)
    assert "--allow-secret 'not-there.py': no such file" in warnings(done)
    (ready.folder / "kourou.toml").write_text('# ours\nallow-secret = ["other.py"]\n')
    done = ready.deploy("--allow-secret", "use.py", check=1)
    assert "kourou.toml:2: no key 'allow-secret'" in warnings(done) and "allow-secrets = [" in warnings(done)
    (ready.folder / "kourou.toml").write_text('# ours\nallow-secrets = [\n  "other.py", # an example\n]\n')
    ready.deploy("--allow-secret", ready.folder / "use.py", check=0)
    assert {"use.py", "other.py"} <= sent(hub)
    # what was allowed once is allowed for those that follow
    ready.run("deployment", "diff", "my_deployment", check=0)
    ready.run("deployment", "provision", "my_deployment", check=0)


@pytest.mark.parametrize("verb", ["provision", "snapshot", "rollback"])
def test_every_command_that_sends_can_be_told_so(ready, hub, verb):
    (ready.folder / "use.py").write_text(f'TOKEN = "{TOKEN}"\n')
    ready.run("deployer", "update", "hf", "--private=True", check=0)
    ready.deploy(check=0)
    command = ["deployment", "provision", "my_deployment"]
    if verb == "snapshot":
        ready.run("pipeline", "snapshot", "create", "--python", ready.python, "--name", "kept", "my_module.my_pipeline", check=0)
        command = ["pipeline", "snapshot", "deploy", "kept", "--deployment", "my_deployment", "--update"]
    if verb == "rollback":
        ready.change()
        ready.deploy(check=0)
        command = ["deployment", "rollback", "my_deployment", "--yes"]
    ready.run("deployer", "update", "hf", "--private=False", check=0)
    if verb != "provision":  # a snapshot says itself whether it is private
        hub_state = ready.run(*command, "--allow-secret", "missing.py", check=2)
        assert "--allow-secret 'missing.py': no such file" in warnings(hub_state)
    done = ready.run(*command)
    if done.returncode != 0:
        assert "use.py:1 (a Hugging Face token), and the Space is public" in warnings(done)
    ready.run(*command, "--allow-secret", "use.py", check=0)


NAMES = """
.env prod.env .env.local .ENV .netrc _netrc .npmrc .pypirc .docker/config.json .kube/config credentials.json
Credentials.JSON service-account.json my-service-account.json key.pem server.KEY cert.p12 store.jks x.pfx
terraform.tfstate terraform.tfstate.backup prod.tfvars .htpasswd .pgpass .my.cnf .boto .s3cfg rclone.conf
.git-credentials .terraformrc .dockercfg kubeconfig .streamlit/secrets.toml id_rsa id_ed25519 deploy/id_ecdsa
.config/gcloud/application_default_credentials.json .azure/accessTokens.json .aws/credentials .ssh/config
.gnupg/secring.gpg kaggle.json client_secret_123.json .vault-token .databrickscfg .bash_history putty.ppk
""".split()


def test_files_of_the_table_are_left_out_and_one_line_sends_them(ready, hub):
    plain = {".env.example", "server.pub", "lib/secrets.py", "environment.py", "certs/ca.pem", "tokenizer.json"}
    ca = "-----BEGIN CERTIFICATE-----\n" + "MIIB" * 16 + "\n-----END CERTIFICATE-----\n"
    for name in [*NAMES, *plain]:
        path = ready.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ca if name == "certs/ca.pem" else "nothing that looks like anything\n")
    done = ready.deploy(check=0)
    assert sent(hub) == {"my_module.py", *plain}
    said = warnings(done)
    assert "may hold secrets and were left out" in said and "'!NAME' in .kourouignore" in said
    (ready.folder / ".kourouignore").write_text("!prod.env\n!.docker/config.json\n!*.pem\n!*\n")
    ready.deploy(check=0)
    assert sent(hub) == {"my_module.py", *plain, "prod.env", ".docker/config.json", "key.pem"}


def test_credentials_by_their_contents_are_left_out(ready, hub):
    files = {
        "notes.txt": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz\n",
        "gcp.json": json.dumps({"type": "service_account", "private_key": "x", "client_email": "a@b"}),
        "docker.json": json.dumps({"auths": {"docker.io": {"auth": "dXNlcjpwYXNz"}}}),
        "logins": "machine example.org login me password something\n",
        "users": "me:$apr1$abcdefgh$0123456789abcdefghijk/\n",
        "aws.ini": "[default]\naws_access_key_id = x\naws_secret_access_key = y\n",
        "cluster.yaml": "apiVersion: v1\nkind: Config\nclusters: []\nusers:\n- user:\n    token: abc\n",
        "state.json": json.dumps({"terraform_version": "1", "lineage": "x", "serial": 3}),
        "remotes": "https://me:pass@example.org\n",
    }
    for name, text in files.items():
        (ready.folder / name).write_text(text)
    (ready.folder / "box.dat").write_bytes(b"\xfe\xed\xfe\xed\0\0\0\2")
    (ready.folder / "box2.dat").write_bytes(b"\x30\x82\x09\x31\x02\x01\x03\x30\x82\x08" + b"\0" * 40)
    done = ready.deploy(check=0)
    assert sent(hub) == {"my_module.py"}
    assert all(f"'{name}'" in warnings(done) for name in [*files, "box.dat", "box2.dat"])


def test_pointers_of_git_lfs_are_told(ready, hub):
    (ready.folder / "model.bin").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n")
    done = ready.deploy(check=0)
    assert "'model.bin' is a pointer of Git LFS" in warnings(done) and "git lfs pull" in warnings(done)


SHELL = {
    "file": "{deploy} > deploy.log 2>&1",
    "append": "exec >> out/deploy.log 2>&1; {deploy}",
    "tee": "{deploy} 2>&1 | tee deploy.log",
    "tee behind cat": "{deploy} 2>&1 | cat | tee -a deploy.log > second.txt",
    "nohup": "nohup {deploy} & wait $!",
    "script": "script -qec '{deploy}' typescript.txt > /dev/null",
}


@pytest.mark.parametrize("how", SHELL)
def test_what_we_write_to_is_not_sent(ready, hub, how):
    """Neither in the same command nor in later ones."""
    (ready.folder / "out").mkdir()
    deploy = f"{ready.build_dir}/kourou pipeline deploy --python {ready.python} --name my_deployment --update " \
             "my_module.my_pipeline"
    env = {**ready.env, "SHELL": "/bin/sh"}
    with open(ready.folder / "nohup.out", "wb") if how == "nohup" else open(os.devnull, "wb") as out:
        done = subprocess.run(["bash", "-o", "pipefail", "-c", SHELL[how].format(deploy=deploy)], cwd=ready.folder, env=env,
                              stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=100)
    logs = [path for path in ready.folder.rglob("*") if path.is_file() and path.name != "my_module.py"
            and "__pycache__" not in path.parts]
    said = "".join(path.read_text(errors="replace") for path in logs)
    assert done.returncode == 0, said
    assert "left out" in said and "this command writes to" in re.sub(r"\s+", " ", said)
    assert sent(hub) == {"my_module.py"}
    ready.change()
    ready.deploy(check=0)
    assert sent(hub) == {"my_module.py"}


def test_words_of_generated_files_may_be_values(ready, hub):
    """Each word that stands in what is generated, as the value of a secret."""
    ready.deploy(check=0)
    space = hub.space(SPACE)
    words = {"python", "docker", "0.0.0.0", "true", "8080"}
    for path in ("Dockerfile", "README.md", ".kourou/snapshot.json", ".dockerignore"):
        text = space.read(path).decode()
        words |= set(re.findall(r"[\w.-]+", text)) | set(re.findall(r"[A-Za-z]+", text)) | set(re.findall(r"\S+", text))
    words -= {word for word in words if len(word) < 4 or '"' in word or len(word) > 60 or re.search(r"[0-9a-f]{8}", word)}
    # of the user's own: the pipeline's names and signature do come from the source
    words = sorted(word for word in words if not re.search(r"(?i)my_|greet|count|world|name", word))
    assert len(words) > 60
    ready.run("secret", "create", "words", *(f"--w{i}={word}" for i, word in enumerate(words)), check=0)
    ready.run("deployer", "update", "hf", "--secret", "words", check=0)
    ready.change()
    done = ready.deploy(check=0)
    assert "****" not in done.stderr, done.stderr


def test_a_file_that_is_rewritten_all_the_time_is_sent_whole(ready, hub):
    """What was read is what is sent, whatever happens to the file meanwhile."""
    path = ready.folder / "status.json"
    path.write_text("{}")
    writer = subprocess.Popen(["bash", "-c", f"for ((i = 0; ; i++)); do printf '{{\"n\":%08d}}\\n' $i >> '{path}'; "
                               "sleep 0.002; done"], stdin=subprocess.DEVNULL)
    try:
        done = ready.deploy(check=0)
    finally:
        writer.kill()
        writer.wait()
    text = hub.space(SPACE).read("status.json").decode()
    assert path.read_text().startswith(text), "another file was sent"
    assert "changed" not in done.stderr
