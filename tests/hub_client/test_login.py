# SPDX-License-Identifier: Apache-2.0
"""Logins by browser (`hf auth login`): refreshed as the official client does, whoever comes first, whatever is cut."""
import configparser
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from tests.hub.process import without_hub_variables
from tests.hub_client.conftest import Client

HOUR = 3600


class Login(Client):
    """hubctl for a user whose token lies where the official client keeps it."""

    def __init__(self, hub, home, expires_in):
        super().__init__(hub, None, home)
        self.folder = home / "hf"
        self.folder.mkdir()
        self.given = hub.make_login("alice", expires_in)
        self.write(self.given["token"], self.given["expires_at"])

    def write(self, token, expires_at, **more):
        fields = {"hf_token": token, "refresh_token": self.given["refresh_token"], "expires_at": expires_at, **more}
        text = "".join(f"{key} = {value}\n" for key, value in fields.items())
        (self.folder / "stored_tokens").write_text(
            f"[other]\nhf_token = hf_of_another_login\n\n[laptop]\n{text}\n[zeta %s]\nhf_token = hf_third\n\n")
        (self.folder / "token").write_text(token)

    def environment(self):
        return {**super().environment(), "HF_HOME": str(self.folder)}

    def stored(self):
        config = configparser.ConfigParser(interpolation=None)
        config.read(self.folder / "stored_tokens")
        return {name: dict(config.items(name)) for name in config.sections()}

    def token_file(self):
        return (self.folder / "token").read_text()

    def official(self):
        """The token that the official client finds there, in a process that is under way."""
        env = {**without_hub_variables(), "HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.folder), "HOME": str(self.home)}
        return subprocess.Popen([sys.executable, "-c", "import huggingface_hub; print(huggingface_hub.get_token())"], env=env,
                                stdout=subprocess.PIPE, text=True)

    def refreshed(self):
        return self.hub.counters()["routes"].get("POST /oauth/token", 0)


@pytest.fixture
def login(hub, tmp_path):
    def make(expires_in):
        return Login(hub, tmp_path, expires_in)
    return make


def test_login_that_ends_soon_is_refreshed_once(login):
    user = login(HOUR)
    assert user("whoami")["name"] == "alice"
    stored = user.stored()
    fresh = stored["laptop"]["hf_token"]
    assert fresh != user.given["token"] and user.token_file() == fresh
    assert stored["laptop"]["refresh_token"] not in ("", user.given["refresh_token"])
    assert int(stored["laptop"]["expires_at"]) > time.time() + 20 * 86400
    assert stored["other"] == {"hf_token": "hf_of_another_login"} and stored["zeta %s"] == {"hf_token": "hf_third"}
    for name in ("token", "stored_tokens"):
        assert stat.S_IMODE(os.stat(user.folder / name).st_mode) == 0o600
    assert sorted(path.name for path in user.folder.iterdir()) == ["stored_tokens", "stored_tokens.lock", "token"]
    user("whoami")
    assert user.refreshed() == 1
    official = user.official()
    assert official.communicate()[0].strip() == fresh and user.refreshed() == 1, "the official client finds it good"


def test_refresh_token_that_is_not_replaced_stays(login, hub):
    hub.settings(oauth_rotates=False)
    user = login(HOUR)
    user("whoami")
    assert user.stored()["laptop"]["refresh_token"] == user.given["refresh_token"]


def test_expired_login_is_refreshed(login):
    user = login(-5)
    assert user("whoami")["name"] == "alice" and user.refreshed() == 1


def test_login_with_more_than_a_day_is_left(login):
    user = login(25 * HOUR)
    assert user("whoami")["name"] == "alice" and user.refreshed() == 0
    assert user.token_file() == user.given["token"]


def test_link_stays_a_link(login, tmp_path):
    user = login(HOUR)
    (user.folder / "token").rename(tmp_path / "elsewhere")
    (user.folder / "token").symlink_to(tmp_path / "elsewhere")
    user("whoami")
    assert (user.folder / "token").is_symlink() and user.token_file() == user.stored()["laptop"]["hf_token"]


def test_several_at_once_refresh_once(login, hub):
    """Ours and the official client's: a refresh token is good once, so a second try would lose the login."""
    user = login(HOUR)
    hub.fault("slow", "POST", "/oauth/token", times=-1, seconds=0.5)
    ours = [user.start("whoami") for _ in range(5)]
    official = user.official()
    for process in ours:
        out, wrong = process.communicate(timeout=60)
        assert process.returncode == 0, wrong
    assert official.communicate(timeout=60)[0].strip() == user.stored()["laptop"]["hf_token"] == user.token_file()
    assert user.refreshed() == 1


def test_killed_between_the_two_files(login):
    """What stored_tokens says is the truth: the way from the old token to it is found."""
    user = login(HOUR)
    user("whoami")
    (user.folder / "token").write_text(user.given["token"])
    assert user("whoami")["name"] == "alice"
    assert user.token_file() == user.stored()["laptop"]["hf_token"] and user.refreshed() == 1


def test_killed_while_it_asks(login, hub):
    user = login(HOUR)
    before = (user.folder / "stored_tokens").read_text()
    fault = hub.fault("slow", "POST", "/oauth/token", seconds=30)
    process = user.start("whoami")
    until = time.monotonic() + 30
    while not [f for f in hub.faults() if f["id"] == fault["id"]][0]["hits"]:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (user.folder / "stored_tokens").read_text() == before and user.token_file() == user.given["token"]
    hub.clear_faults()
    assert user("whoami")["name"] == "alice"


CUTS = {
    "cut before": {"kind": "cut_before"},
    "cut during": {"kind": "cut_during"},
    "answer lost": {"kind": "cut_after"},
    "answer breaks off": {"kind": "cut_mid"},
    "503": {"kind": "status", "status": 503, "html": True},
    "garbage": {"kind": "garbage"},
    "revoked": {"kind": "status", "status": 400, "body": '{"error":"invalid_grant","error_description":"session over"}'},
}


@pytest.mark.parametrize("cut", CUTS)
def test_refresh_that_fails(login, hub, cut):
    """A good token goes on being used, with a note; one that has expired is a clear error. Files stay as they are."""
    user = login(HOUR)
    before = (user.folder / "stored_tokens").read_text()
    hub.fault(method="POST", path="/oauth/token", times=-1, **CUTS[cut])
    answer = user("whoami")
    assert answer["name"] == "alice" and "could not be refreshed" in answer.stderr
    assert (user.folder / "stored_tokens").read_text() == before and user.token_file() == user.given["token"]
    user.write(user.given["token"], int(time.time()) - 10)
    error = user.fails("auth", "whoami")
    assert "expired at" in error["message"] and "hf auth login" in error["hint"]
    for text in (answer.stderr, str(error)):
        assert user.given["token"] not in text and user.given["refresh_token"] not in text


@pytest.mark.parametrize("text", ["not [an ini = file", "[laptop]\nhf_token = {token}\nbroken line\n", "\0\0"])
def test_file_that_is_none_is_left_alone(login, text):
    user = login(HOUR)
    (user.folder / "stored_tokens").write_text(text.format(token=user.given["token"]))
    assert user("whoami")["name"] == "alice" and user.refreshed() == 0
    assert (user.folder / "stored_tokens").read_text() == text.format(token=user.given["token"])


def test_same_files_as_the_official_client(login, hub, tmp_path):
    """But for our way back, which it keeps."""
    user = login(HOUR)
    user("whoami")
    mine = user.stored()["laptop"]
    theirs = hub.make_login("alice", HOUR)
    user.given = theirs
    user.write(theirs["token"], theirs["expires_at"])
    user.official().communicate()
    assert set(user.stored()["laptop"]) == set(mine) - {"kourou_replaced"}
