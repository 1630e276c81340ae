# SPDX-License-Identifier: Apache-2.0
"""Containers of the docker deployer have no privileges to lose, and need no writable root."""
import json
from pathlib import Path

from tests.images.test_docker import NETWORK, container


def processes(top):
    """/proc/<pid>/status of a process and of all that it started."""
    found, left = {}, [top]
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                lines = (entry / "status").read_text().splitlines()
            except OSError:
                continue
            status = {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}
            found[int(entry.name)] = status
            parents.setdefault(int(status["PPid"]), []).append(int(entry.name))
    ours = []
    while left:
        pid = left.pop()
        ours.append(found[pid])
        left += parents.get(pid, [])
    return ours


def test_no_privileges_and_a_read_only_root(project):
    run_args = {**NETWORK, "read_only": True, "tmpfs": {"/tmp": "", "/var/lib/kourou": "uid=1000,mode=700"}}
    project.stack("docker", f"--run_args={json.dumps(run_args)}", "--auth_key=a-key-of-the-app")
    project.deploy(check=0)
    assert project.invoke(name="Ada")["outputs"] == {"greeting": "Hello, Ada!", "length": 11}
    one = container(project)
    assert one["HostConfig"]["SecurityOpt"] == ["no-new-privileges"] and one["HostConfig"]["CapDrop"] == ["ALL"]
    assert one["HostConfig"]["ReadonlyRootfs"] is True
    ours = processes(one["State"]["Pid"])
    assert len(ours) >= 2, "the server and a worker"
    for status in ours:
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
        assert int(status["CapBnd"], 16) == int(status["CapPrm"], 16) == 0, status
