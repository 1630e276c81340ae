# SPDX-License-Identifier: Apache-2.0
"""Every call of every operation, cut in every way: it ends well, without having been done twice."""
import dataclasses
import typing

import pytest

CUTS = {
    "refused": {"kind": "refuse", "seconds": 0.1},
    "cut before": {"kind": "cut_before"},
    "cut during": {"kind": "cut_during"},
    "answer lost": {"kind": "cut_after"},
    "answer breaks off": {"kind": "cut_mid"},
    "500": {"kind": "status", "status": 500},
    "502 page": {"kind": "status", "status": 502, "html": True},
    "503": {"kind": "status", "status": 503, "headers": {"Retry-After": "1"}},
    "504 after acting": {"kind": "status_after", "status": 504, "html": True},
    "rate limit": {"kind": "rate_limit", "seconds": 2},
}


@dataclasses.dataclass
class Operation:
    args: tuple
    method: str
    path: str
    check: typing.Callable = lambda hub, space_id, answer: None
    input: object = None
    exists: bool = True
    origin: str = "hub"


def one(counter):
    def check(hub, space_id, answer):
        assert hub.counters()["spaces"][space_id][counter] == 1
    return check


def created(hub, space_id, answer):
    assert hub.counters()["creates"] == 1 and answer["existed"] is False
    assert hub.space(space_id).state()["secrets"]["KEY"]["value"] == "a-secret-value"


def deleted(hub, space_id, answer):
    assert not hub.space(space_id).exists() and hub.counters()["deletes"] == 1 and answer["existed"] is True


def synced(hub, space_id, answer):
    state = hub.space(space_id).state()
    assert answer["committed"] and answer["commit"] == state["head"]
    assert [commit["title"] for commit in state["commits"]] == ["Deploy", "initial commit"]
    assert set(state["files"]) == {".gitattributes", ".kourou/deployment.json", "Dockerfile", "README.md", "model.bin",
                                   "parts.bin", "pkg/empty.py", "pkg/é ü.py"}


def state_is(key, value):
    def check(hub, space_id, answer):
        assert hub.space(space_id).state()[key] == value
    return check


def variable(hub, space_id, answer):
    assert hub.space(space_id).state()["variables"]["A"]["value"] == "1"


SYNC = ("sync", "{id}", "{folder}", "deployment-1")
API = "/api/spaces/alice/*"
OPERATIONS = {
    "whoami": Operation(("whoami", "{id}"), "GET", "/api/whoami-v2"),
    "space": Operation(("space", "{id}"), "GET", API),
    "create": Operation(("create", "{id}"), "POST", "/api/repos/create", created, exists=False,
                        input={"secrets": {"KEY": "a-secret-value"}, "variables": {"A": "1"}}),
    "delete": Operation(("delete", "{id}"), "DELETE", "/api/repos/delete", deleted),
    "visibility": Operation(("visibility", "{id}", "private"), "PUT", API + "/settings",
                            state_is("visibility", "private")),
    "check-write": Operation(("check-write", "{id}"), "GET", API + "/auth-check/write"),
    "runtime": Operation(("runtime", "{id}"), "GET", API + "/runtime"),
    "pause": Operation(("pause", "{id}"), "POST", API + "/pause", state_is("stage", "PAUSED")),
    "sleep": Operation(("sleep", "{id}", "3600"), "POST", API + "/sleeptime"),
    "hardware": Operation(("hardware", "{id}", "t4-small"), "POST", API + "/hardware",
                          state_is("hardware", "t4-small")),
    "dev mode": Operation(("dev-mode", "{id}"), "POST", API + "/dev-mode", state_is("dev_mode", True)),
    "volumes": Operation(("volumes", "{id}"), "PUT", API + "/volumes",
                         input=[{"type": "bucket", "source": "alice/data", "mountPath": "/data"}]),
    "no volumes": Operation(("volumes", "{id}"), "DELETE", API + "/volumes", input=[]),
    "flavors": Operation(("flavors",), "GET", "/api/spaces/hardware"),
    "set secret": Operation(("set-var", "{id}", "secret", "S"), "POST", API + "/secrets", input={"value": "x"}),
    "list secrets": Operation(("list-vars", "{id}", "secret"), "GET", API + "/secrets"),
    "delete secret": Operation(("delete-var", "{id}", "secret", "S"), "DELETE", API + "/secrets"),
    "set variable": Operation(("set-var", "{id}", "variable", "A"), "POST", API + "/variables", variable,
                              input={"value": "1"}),
    "delete variable": Operation(("delete-var", "{id}", "variable", "A"), "DELETE", API + "/variables"),
    "all variables": Operation(("vars", "{id}"), "POST", API + "/variables", variable,
                               input={"variables": {"A": "1"}, "secrets": {"S": "a-secret-value"}}),
    "tree": Operation(("tree", "{id}"), "GET", API + "/tree/*"),
    "read": Operation(("read", "{id}", "README.md"), "GET", "/spaces/alice/*/raw/*"),
    "readme": Operation(("readme",), "POST", "/api/validate-yaml", input={"text": "---\nsdk: docker\n---\n"}),
    "sync: look": Operation(SYNC, "GET", API, synced),
    "sync: tree": Operation(SYNC, "GET", API + "/tree/*", synced),
    "sync: readme": Operation(SYNC, "POST", "/api/validate-yaml", synced),
    "sync: preupload": Operation(SYNC, "POST", API + "/preupload/main", synced),
    "sync: batch": Operation(SYNC, "POST", "/spaces/alice/*/info/lfs/objects/batch", synced),
    "sync: put": Operation(SYNC, "PUT", "/lfs/*", synced, origin="lfs"),
    "sync: part": Operation(SYNC, "PUT", "/part/*", synced, origin="lfs"),
    "sync: complete": Operation(SYNC, "POST", "/api/complete_multipart", synced),
    "sync: verify": Operation(SYNC, "POST", "/spaces/alice/*/info/lfs/objects/verify", synced),
    "sync: commit": Operation(SYNC, "POST", API + "/commit/main", synced),
}


def inject(hub, operation, cut):
    fields = dict(CUTS[cut])
    kind = fields.pop("kind")
    hub.fault(kind, operation.method, operation.path, origin=operation.origin, **fields)


def hits(hub):
    return sum(len(entry["faults"]) for entry in hub.log())


@pytest.mark.parametrize("cut", [cut for cut in CUTS if cut != "refused"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_cut(client, shared_hub, space_id, folder, name, cut):
    operation = OPERATIONS[name]
    if operation.exists:
        client("create", space_id, input={})
    shared_hub.reset_counters()
    inject(shared_hub, operation, cut)
    args = [arg.format(id=space_id, folder=folder) for arg in operation.args]
    answer = client(*args, input=operation.input)
    assert hits(shared_hub) >= 1
    operation.check(shared_hub, space_id, answer)
    leaks = [entry for entry in shared_hub.log() if entry["leaks"] or entry["origin"] == "lfs" and entry["auth"]]
    assert not leaks


@pytest.mark.parametrize("calls", range(1, 9))
def test_refused_between_any_two_calls_of_a_sync(client, shared_hub, space_id, folder, calls):
    client("create", space_id, input={})
    shared_hub.reset_counters()
    shared_hub.fault("refuse", after_calls=calls, seconds=0.1)
    synced(shared_hub, space_id, client(*[arg.format(id=space_id, folder=folder) for arg in SYNC]))


@pytest.mark.parametrize("turn", range(6))
def test_several_cuts_by_chance_in_one_sync(client, shared_hub, space_id, folder, rng, turn):
    names = rng.sample([name for name in OPERATIONS if name.startswith("sync: ")], rng.randint(2, 5))
    chosen = {name: rng.choice([cut for cut in CUTS if cut != "refused"]) for name in names}
    print(chosen)
    client("create", space_id, input={})
    shared_hub.reset_counters()
    for name, cut in chosen.items():
        inject(shared_hub, OPERATIONS[name], cut)
    answer = client(*[arg.format(id=space_id, folder=folder) for arg in SYNC])
    assert hits(shared_hub) >= len(chosen)
    synced(shared_hub, space_id, answer)
    assert not [entry for entry in shared_hub.log() if entry["leaks"] or entry["origin"] == "lfs" and entry["auth"]]


@pytest.mark.parametrize("cut", ["cut before", "answer lost", "504 after acting"])
def test_restart_happens_once(client, shared_hub, space_id, folder, cut):
    client("create", space_id, input={})
    client(*[arg.format(id=space_id, folder=folder) for arg in SYNC])
    shared_hub.space(space_id).wait("RUNNING")
    client("pause", space_id)
    shared_hub.reset_counters()
    shared_hub.script(space_id, build={"seconds": 2})
    inject(shared_hub, Operation((), "POST", API + "/restart"), cut)
    assert client("restart", space_id)["stage"] in ("BUILDING", "APP_STARTING", "RUNNING")
    one("restarts")(shared_hub, space_id, None)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in (
    "delete", "visibility", "check-write", "volumes", "no volumes", "set secret", "set variable", "delete secret",
    "delete variable", "all variables", "read", "sync: put", "sync: part", "sync: complete", "sync: verify")])
def test_garbage_is_a_clear_error_and_the_next_try_works(client, shared_hub, space_id, folder, name):
    operation = OPERATIONS[name]
    if operation.exists:
        client("create", space_id, input={})
    shared_hub.reset_counters()
    shared_hub.fault("garbage", operation.method, operation.path, origin=operation.origin)
    args = [arg.format(id=space_id, folder=folder) for arg in operation.args]
    answer = client.run(*args, input=operation.input)
    if answer.status:
        assert answer.error["code"] == "remote" and "is not valid JSON" in answer.error["message"]
        assert "Root=1-" in answer.error["hint"]
    operation.check(shared_hub, space_id, client(*args, input=operation.input) if answer.status else answer)


@pytest.mark.parametrize("name", ["space", "create", "delete", "pause", "sync: commit", "sync: put"])
def test_a_fault_that_stays_ends_in_a_clear_error(client, shared_hub, space_id, folder, name):
    operation = OPERATIONS[name]
    if operation.exists:
        client("create", space_id, input={})
    args = [arg.format(id=space_id, folder=folder) for arg in operation.args]
    shared_hub.fault("status", operation.method, operation.path, origin=operation.origin, status=503, times=-1)
    error = client.fails("remote", *args, input=operation.input)
    assert error["status"] == 503 and "503" in error["message"] and error["hint"]
    shared_hub.clear_faults()
    shared_hub.fault("cut_before", operation.method, operation.path, origin=operation.origin, times=-1)
    error = client.fails("network", *args, input=operation.input)
    assert "127.0.0.1" in error["message"]
    shared_hub.clear_faults()
    operation.check(shared_hub, space_id, client(*args, input=operation.input))


def test_hub_that_is_not_there(client, shared_hub, space_id):
    shared_hub.listen(False)
    try:
        error = client.fails("network", "space", space_id)
    finally:
        shared_hub.listen(True)
    assert "Connection refused" in error["message"] and "check the network" in error["hint"]
