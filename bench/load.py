# SPDX-License-Identifier: Apache-2.0
"""Requests to a server that is measured, and what its processes use."""
import http.client
import os
import re
import socket
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


class Failed(RuntimeError):
    """A server did not do what is measured."""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def request(port, method, path, body=None, timeout=60.0):
    """(status, body) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def is_up(port, path="/health"):
    try:
        return request(port, "GET", path, timeout=2)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def tree(pid):
    """The process and everything below it."""
    below = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            below.setdefault(parent, []).append(int(entry))
    pids = [pid]
    for one in pids:
        pids += below.get(one, [])
    return pids


def cpu_seconds(pid, pids=None):
    """CPU time of a process and everything below it, or of `pids` only."""
    total = 0
    for one in pids or tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def rss_mb(pid):
    """Resident memory of a process and everything below it; shared pages count in each of them."""
    pages = 0
    for one in tree(pid):
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            pass
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def settle(pid, seconds=60):
    """Waits until it works off no request any more that its clients gave up."""
    end, before = time.monotonic() + seconds, cpu_seconds(pid)
    while time.monotonic() < end:
        time.sleep(0.3)
        now = cpu_seconds(pid)
        if now - before < 0.03:
            return
        before = now


def parse_wrk(text):
    """{"rate" 1/s, "p50" µs, "p99" µs, "errors", "count"} from the output of wrk; latencies are None without an answer."""
    units = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}
    count = int(re.search(r"(\d+) requests in", text)[1])

    def latency(percent):
        found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)\b", text, re.M)
        return float(found[1]) * units[found[2]] if found and count else None

    errors = sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    errors += sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), "p50": latency(50), "p99": latency(99),
            "errors": errors, "count": count}


def wrk(port, path, connections, seconds, body=None, folder=None, timeout=30):
    """Loads a server with `connections` clients that each send the next request after an answer."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{timeout}s", "--latency"]
    if body is not None:
        script = Path(folder) / "post.lua"
        script.write_text(f"wrk.method='POST'\nwrk.body='{body}'\nwrk.headers['Content-Type']='application/json'\n")
        argv += ["-s", str(script)]
    return parse_wrk(subprocess.run([*argv, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True,
                                    check=True).stdout)


def wave(port, path, connections, each, body, timeout=150):
    """The same figures as wrk() for a server that needs a second or more: every client sends `each` requests, and all of
    them are waited for. A request without an answer 200 in `timeout` seconds is an error."""
    def client(_):
        took, errors = [], 0
        for _ in range(each):
            began = time.perf_counter()
            try:
                errors += request(port, "POST", path, body, timeout)[0] != 200
            except (OSError, http.client.HTTPException):
                errors += 1
            else:
                took.append((time.perf_counter() - began) * 1e6)
        return took, errors

    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        found = list(pool.map(client, range(connections)))
    seconds = time.perf_counter() - began
    took = sorted(one for times, _ in found for one in times)
    return {"rate": len(took) / seconds, "p50": statistics.median(took) if took else None,
            "p99": took[min(len(took) - 1, len(took) * 99 // 100)] if took else None,
            "errors": sum(errors for _, errors in found), "count": len(took)}
