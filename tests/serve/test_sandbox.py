# SPDX-License-Identifier: Apache-2.0
"""What the server and its workers cannot do, and what they still can."""
import json
import os
import platform
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.conftest import needs
from tests.serve.serve_harness import BIN, HERE, PYTHON, make_snapshot, wait_for

EPERM, ENOSYS = 1, 38
NEWNS, NEWUSER, NEWNET = 0x20000, 0x10000000, 0x40000000

# Number of the call on x86_64 and on aarch64, arguments that do no harm should it be let through.
REFUSED = {
    "mount": (165, 40, (0, 0, 0, 0, 0)),
    "umount2": (166, 39, (0, 0)),
    "pivot_root": (155, 41, (0, 0)),
    "setns": (308, 268, (-1, 0)),
    "unshare(user)": (272, 97, (NEWUSER,)),
    "unshare(mount)": (272, 97, (NEWNS,)),
    "unshare(net)": (272, 97, (NEWNET,)),
    "clone(user)": (56, 220, (NEWUSER | 17, 0, 0, 0, 0)),
    "bpf": (321, 280, (-1, 0, 0)),
    "perf_event_open": (298, 241, (0, 0, -1, -1, 0)),
    "userfaultfd": (323, 282, (-1,)),
    "init_module": (175, 105, (0, 0, 0)),
    "finit_module": (313, 273, (-1, 0, 0)),
    "delete_module": (176, 106, (0, 0)),
    "kexec_load": (246, 104, (0, 0, 0, 0)),
    "reboot": (169, 142, (0, 0, 0, 0)),
    "swapon": (167, 224, (0, 0)),
    "add_key": (248, 217, (0, 0, 0, 0, 0)),
    "keyctl": (250, 219, (-1, 0, 0, 0, 0)),
    "open_by_handle_at": (304, 265, (-1, 0, 0)),
    "syslog": (103, 116, (-1, 0, 0)),
    "sethostname": (170, 161, (0, 0)),
    "fsopen": (430, 430, (0, 0)),
}
CLONE3 = (435, 435, (0, 0))

CALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0)
    value = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args])
    return ctypes.get_errno() if value < 0 else "done"
"""


def number(row):
    needs(platform.machine() in ("x86_64", "aarch64"), "a machine that has the system call filter")
    return row[0 if platform.machine() == "x86_64" else 1]


def run(server, code):
    answer = server.invoke("python", code=code)
    assert answer.status == 200, answer
    return answer.json()["outputs"]["output"]


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def test_front_and_workers_are_confined(server):
    line = "confinement: no new privileges, system call filter, no administration capabilities"
    wait_for(lambda: line in server.log(), "the line in the log")
    (worker,) = server.workers()
    for pid in (server.pid, worker):
        status = status_of(pid)
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", (pid, status)


def test_administration_is_refused(server):
    code = CALL + "result = {" + ", ".join(f"{name!r}: call({number(row)}, *{row[2]!r})"
                                           for name, row in REFUSED.items()) + "}"
    got = run(server, code)
    assert got == dict.fromkeys(REFUSED, EPERM)
    assert run(server, CALL + f"result = call({number(CLONE3)}, *{CLONE3[2]!r})") == ENOSYS


OTHER_NUMBERS = """
import ctypes, mmap
m = mmap.mmap(-1, 4096, prot=7)
m.write(bytes.fromhex("b814000000" "cd80" "c3"))  # getpid() as a 32-bit program calls it
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
"""


def test_calls_of_another_architecture_are_no_way_around(server):
    needs(platform.machine() == "x86_64", "x86_64")
    outside = subprocess.run([PYTHON, "-c", OTHER_NUMBERS], stdin=subprocess.DEVNULL).returncode
    command = [PYTHON, "-c", OTHER_NUMBERS]
    inside = run(server, f"import subprocess\nresult = subprocess.run({command!r}).returncode")
    assert inside == (-signal.SIGSYS if outside == 0 else outside)


def test_programs_of_steps_are_refused_too(server):
    code = "import subprocess\ndone = subprocess.run(['unshare', '--user', 'true'], capture_output=True, text=True)\n" \
           "result = [done.returncode, done.stderr]"
    needs(shutil.which("unshare"), "the program unshare")
    status, text = run(server, code)
    assert status != 0 and "Operation not permitted" in text


def test_capabilities_of_administration_are_gone(server):
    """Root's files stay root's: of what root has, only administration is given up."""
    administration = {9, 12, 16, 17, 20, 21, 22, 25, 26, 27, 30, 32, 33, 34, 35, 36, 37, 38, 39}
    kept = {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 18, 19, 23, 24}
    before = int(status_of(os.getpid())["CapPrm"], 16)
    (worker,) = server.workers()
    for pid in (server.pid, worker):
        status = status_of(pid)
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            held = int(status[name], 16)
            assert not [cap for cap in administration if held >> cap & 1], (pid, name, status[name])
        if os.geteuid() == 0:
            missing = [cap for cap in kept if before >> cap & 1 and not int(status["CapEff"], 16) >> cap & 1]
            assert not missing, (pid, missing)
            assert not [cap for cap in administration if int(status["CapBnd"], 16) >> cap & 1]


WORKS = {
    "a program": "import subprocess\nresult = subprocess.check_output(['sh', '-c', 'echo a; exit 0'], text=True)",
    "threads": "import threading\nbox = []\nts = [threading.Thread(target=box.append, args=('a',)) for _ in range(8)]\n"
               "[t.start() for t in ts]\n[t.join() for t in ts]\nresult = ''.join(box)[:1] + '\\n'",
    "sockets": "import socket\na, b = socket.socketpair()\na.sendall(b'a\\n')\n"
               "s = socket.create_server(('127.0.0.1', 0))\n"
               "c = socket.create_connection(s.getsockname())\nd, _ = s.accept()\nd.sendall(b.recv(9))\n"
               "result = c.recv(9).decode()",
    "processes that fork": "import multiprocessing as m\nctx = m.get_context('fork')\nr, w = ctx.Pipe(False)\n"
                           "p = ctx.Process(target=w.send, args=('a\\n',))\np.start()\nresult = r.recv()\np.join()",
    "a pool of processes": "import concurrent.futures as f, multiprocessing as m\n"
                           "with f.ProcessPoolExecutor(2, mp_context=m.get_context('fork')) as pool:\n"
                           "    result = ''.join(pool.map(str.lower, ['A', '\\n']))",
    "shared memory": "from multiprocessing import shared_memory as s\nm = s.SharedMemory(create=True, size=4096)\n"
                     "m.buf[:2] = b'a\\n'\nresult = bytes(m.buf[:2]).decode()\nm.close()\nm.unlink()",
    "executable memory": "import mmap\nm = mmap.mmap(-1, 4096, prot=7)\n"
                         "m.write(b'a\\n')\nresult = m[:2].decode()",
    "callbacks of ctypes": "import ctypes\nf = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 97)\nresult = chr(f()) + '\\n'",
    "event loops": "import asyncio\nasync def f():\n"
                   "    p = await asyncio.create_subprocess_exec('echo', 'a', stdout=-1)\n"
                   "    return (await p.communicate())[0].decode()\nresult = asyncio.run(f())",
    "files": "import tempfile, os\nf = tempfile.NamedTemporaryFile()\nf.write(b'a\\n')\nf.flush()\n"
             "os.chmod(f.name, 0o640)\n"
             "result = open(f.name).read()",
    "locks and limits": "import fcntl, resource, tempfile\nf = tempfile.TemporaryFile()\n"
                        "fcntl.lockf(f, fcntl.LOCK_EX)\n"
                        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nresult = 'a\\n'",
    "a debugger": "import ctypes, os, signal, subprocess\np = subprocess.Popen(['sleep', '60'])\n"
                  "libc = ctypes.CDLL(None, use_errno=True)\nn = libc.ptrace(16, p.pid, None, None)\n"
                  "e = ctypes.get_errno()\np.kill()\np.wait()\nresult = 'a\\n' if n == 0 else str(e)",
}


@pytest.mark.parametrize("what", WORKS)
def test_ordinary_things_go_on_working(server, what):
    assert run(server, WORKS[what]) == "a\n"


def test_switched_off(start):
    server = start(args=["--allow-privileges"])
    wait_for(lambda: "confinement: none" in server.log(), "the line in the log")
    (worker,) = server.workers()
    mine = status_of(os.getpid())
    for pid in (server.pid, worker):
        status = status_of(pid)
        assert [status[name] for name in ("NoNewPrivs", "Seccomp", "CapBnd")] == \
            [mine[name] for name in ("NoNewPrivs", "Seccomp", "CapBnd")]


def test_engine_without_the_means(start, tmp_path):
    """A kernel that refuses costs nothing but lines at level debug. The refusal is that of an older server's filter."""
    needs(shutil.which("cc"), "a C compiler")
    (tmp_path / "refuse.c").write_text(REFUSE)
    subprocess.run(["cc", "-o", tmp_path / "refuse", tmp_path / "refuse.c"], check=True)
    (tmp_path / "snapshot.json").write_text(json.dumps(make_snapshot()))
    log, port = tmp_path / "log", tmp_path / "port"
    with open(log, "ab") as out:
        process = subprocess.Popen([tmp_path / "refuse", BIN, "--snapshot", tmp_path / "snapshot.json", "--root",
                                    tmp_path, "--port", "0", "--port-file", port, "--python", PYTHON,
                                    "--python-path", HERE / "tiny", "--log-level", "debug"], stderr=out)
    try:
        wait_for(port.exists, "it listens")
    finally:
        process.terminate()
    assert process.wait(20) == 0, log.read_text()
    text = log.read_text()
    assert "not confined: system call filter: errno 1" in text and "not confined: no new privileges: errno 1" in text
    assert "not confined: capabilities: errno 1" in text and "confinement: none" in text


REFUSE = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* prctl(PR_SET_NO_NEW_PRIVS), seccomp() and capset() answer EPERM from here on. */
int main(int argc, char **argv)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_capset, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_NO_NEW_PRIVS, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
        return 99;
    execv(argv[1], argv + 1);
    return 98;
}
"""
