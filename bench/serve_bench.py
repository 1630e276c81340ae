# SPDX-License-Identifier: Apache-2.0
"""Measures kourou-serve next to uvicorn+FastAPI, a bare ASGI function and a bare C server, in one run.

Configurations alternate (the order is reversed every repetition); values are medians. Load generator and servers share the
machine, so ratios count, not rates. `--check` makes a missed budget an error.
"""
import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEER_PYTHON = ROOT / ".bench-venv" / "bin" / "python"

PERSON = {"name": "ada lovelace of the analytical engine", "age": 36, "tags": ["first", "programmer", "poetical"]}
MODELS_BODY = json.dumps({"parameters": {"person": PERSON}, "run_name": None, "timeout": None,
                          "skip_artifact_materialization": False})
PLAIN_BODY = json.dumps({"parameters": {"name": PERSON["name"], "age": 36}, "run_name": None, "timeout": None,
                         "skip_artifact_materialization": False})


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def http(port, method, path, body=None, timeout=30.0):
    """(status, body) of one request."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def is_up(port, path="/health"):
    try:
        return http(port, "GET", path, timeout=2)[0] == 200
    except OSError:
        return False


def tree(pid):
    pids = [pid]
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                    pids += tree(int(entry))
            except (OSError, IndexError):
                pass
    return pids


def cpu_seconds(pid):
    total = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def rss_mb(pid):
    pages = 0
    for one in tree(pid):
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            pass
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


class Running:
    """A server process with a port."""

    def __init__(self, argv, port, env=None, cwd=None):
        self.port = port
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env={**os.environ, **(env or {})}, cwd=cwd)

    def wait(self, path="/health"):
        end = time.monotonic() + 30
        while not is_up(self.port, path):
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit(f"does not start: {self.process.args}")
            time.sleep(0.02)
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Setup:
    """Everything that is made before something can be measured."""

    def __init__(self, build, folder, quick=False):
        self.build, self.folder, self.quick = Path(build), Path(folder), quick
        self.python = ROOT / ".venv" / "bin" / "python"
        cc = os.environ.get("CC", "cc")
        subprocess.run([cc, "-O2", "-D_GNU_SOURCE", "-o", self.folder / "bare", HERE / "bare.c"], check=True)
        subprocess.run([cc, "-O2", "-shared", "-fPIC", f"-I{ROOT / 'include'}", "-o", self.folder / "libgreet.so",
                        HERE / "native_greet.c"], check=True)
        for source in ("bench_pipeline.models", "bench_plain.plain", "bench_plain.spin"):
            subprocess.run([self.python, ROOT / "python/kourou/_boot.py", "compile", source, "--root",
                            HERE / "pipelines", "--output", self.folder / f"{source}.json"], check=True)
        text = subprocess.run([self.build / "kourou-native", "--describe", "libgreet.so", "--root", self.folder],
                              check=True, capture_output=True).stdout
        (self.folder / "native.json").write_bytes(text)

    def kourou(self, source, *args):
        native = source == "native"
        port = free_port()
        return Running([str(self.build / "kourou-serve"), "--snapshot", str(self.folder / f"{source}.json"), "--root",
                        str(self.folder if native else HERE / "pipelines"), "--python", str(self.python),
                        "--python-path", str(ROOT / "python"), "--port", str(port), *args], port)

    def uvicorn(self, app):
        port = free_port()
        return Running([str(PEER_PYTHON), "-m", "uvicorn", f"peers:{app}", "--port", str(port), "--no-access-log",
                        "--log-level", "warning"], port, cwd=HERE)

    def bare(self):
        process = Running.__new__(Running)
        process.process = subprocess.Popen([str(self.folder / "bare")], stdout=subprocess.PIPE, text=True)
        process.port = int(process.process.stdout.readline())
        return process


def wrk(port, path, connections, seconds, body=None, folder=None):
    """One measurement: {"rate", "p50" µs, "p99" µs, "errors"}."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency"]
    if body is not None:
        script = Path(folder) / "post.lua"
        script.write_text(f"wrk.method='POST'\nwrk.body='{body}'\nwrk.headers['Content-Type']='application/json'\n")
        argv += ["-s", str(script)]
    text = subprocess.run([*argv, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    units = {"us": 1, "ms": 1e3, "s": 1e6}

    def latency(percent):
        found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)", text, re.M)
        return float(found[1]) * units[found[2]] if found else float("nan")

    errors = sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    errors += sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), "p50": latency(50), "p99": latency(99),
            "errors": errors}


class Report:
    """Lines of budgets."""

    def __init__(self):
        self.missed = []
        self.values = {}

    def budget(self, name, value, limit, unit, at_least):
        fine = value >= limit if at_least else value <= limit
        sign = "at least" if at_least else "at most"
        print(f"  {'ok    ' if fine else 'MISSED'} {name}: {value:.3g} {unit} ({sign} {limit:g})")
        self.values[name] = value
        if not fine:
            self.missed.append(name)


def compare(setup, report, connections, repetitions, seconds):
    """All servers in turn, several times."""
    servers = {
        "bare C": (setup.bare(), "/invoke", PLAIN_BODY),
        "kourou, models": (setup.kourou("bench_pipeline.models"), "/invoke", MODELS_BODY),
        "kourou, plain": (setup.kourou("bench_plain.plain"), "/invoke", PLAIN_BODY),
        "kourou, plain, no journal": (setup.kourou("bench_plain.plain", "--runs-kept", "0"), "/invoke", PLAIN_BODY),
        "kourou, native": (setup.kourou("native"), "/invoke", PLAIN_BODY),
        "bare ASGI, models": (setup.uvicorn("bare"), "/invoke", MODELS_BODY),
        "bare ASGI, plain": (setup.uvicorn("bare"), "/plain", PLAIN_BODY),
        "FastAPI, models": (setup.uvicorn("app"), "/invoke", MODELS_BODY),
        "FastAPI, plain": (setup.uvicorn("app"), "/plain", PLAIN_BODY),
    }
    found = {name: [] for name in servers}
    try:
        for name, (server, path, body) in servers.items():
            if name != "bare C":
                server.wait()
            wrk(server.port, path, connections, 1, body, setup.folder)
        for at in range(repetitions):
            for name in list(servers)[:: -1 if at % 2 else 1]:
                server, path, body = servers[name]
                before = cpu_seconds(server.process.pid)
                one = wrk(server.port, path, connections, seconds, body, setup.folder)
                one["cpu"] = (cpu_seconds(server.process.pid) - before) / max(1, one["rate"] * seconds) * 1e6
                found[name].append(one)
    finally:
        for server, _, _ in servers.values():
            server.stop()
    print(f"\n{connections} connection{'s' if connections > 1 else ''}, {repetitions} x {seconds} s")
    print(f"  {'server':<28}{'req/s':>9}  {'(min - max)':<17}{'p50 µs':>8}{'p99 µs':>9}{'cpu µs':>8}{'errors':>8}")
    result = {}
    for name, ones in found.items():
        median = {key: statistics.median(o[key] for o in ones) for key in ("rate", "p50", "p99", "cpu")}
        median["errors"] = sum(o["errors"] for o in ones)
        rates = [o["rate"] for o in ones]
        print(f"  {name:<28}{median['rate']:>9.0f}  ({min(rates):.0f} - {max(rates):.0f})".ljust(58)
              + f"{median['p50']:>6.0f}{median['p99']:>9.0f}{median['cpu']:>8.1f}{median['errors']:>8}")
        result[name] = median
    report.values[f"{connections} connections"] = result
    return result


def judge(report, many, one):
    rate = {name: value["rate"] for name, value in many.items()}
    for kind in ("models", "plain"):
        mine = rate[f"kourou, {kind}"]
        report.budget(f"invoke, {kind}: ratio to FastAPI", mine / rate[f"FastAPI, {kind}"], 4, "x", True)
        report.budget(f"invoke, {kind}: ratio to bare ASGI", mine / rate[f"bare ASGI, {kind}"], 1.3, "x", True)
    report.budget("invoke, plain: ratio to bare C", rate["kourou, plain"] / rate["bare C"], 0.55, "x", True)
    report.budget("invoke, native: ratio to bare C", rate["kourou, native"] / rate["bare C"], 0.65, "x", True)
    report.budget("recording costs", 1 - rate["kourou, plain"] / rate["kourou, plain, no journal"], 0.10, "of the rate", False)
    report.budget("errors", sum(v["errors"] for n, v in many.items() if "kourou" in n), 0, "", False)
    for kind in ("models", "plain"):
        report.budget(f"1 connection, {kind}: p50 against bare ASGI",
                      one[f"kourou, {kind}"]["p50"] / one[f"bare ASGI, {kind}"]["p50"], 1.0, "x", False)


def held_interpreter(setup, report):
    """/health while the only worker holds the GIL."""
    print("\n/health while the interpreter is held")
    for name, server, path, body in (
            ("kourou", setup.kourou("bench_plain.spin"), "/invoke", '{"parameters":{"count":COUNT}}'),
            ("FastAPI", setup.uvicorn("app"), "/spin?count=COUNT", "{}")):
        try:
            server.wait()
            count = "400000000" if not setup.quick else "150000000"
            spin = subprocess.Popen([sys.executable, "-c", "import http.client,sys;c=http.client.HTTPConnection('127.0.0.1',"
                                     f"{server.port});c.request('POST',{path.replace('COUNT', count)!r},{body.replace('COUNT', count)!r},"
                                     "{'Content-Type':'application/json'});sys.exit(c.getresponse().status!=200)"])
            time.sleep(0.3)
            one = wrk(server.port, "/health", 4, 2)
            held = spin.poll() is None
            spin.wait()
            print(f"  {name:<10}{one['rate']:>9.0f} req/s  p99 {one['p99'] / 1e3:.2f} ms  errors {one['errors']}"
                  f"{'' if held else '  (the spin ended early)'}")
            if name == "kourou":
                report.budget("/health p99 with the GIL held", one["p99"] / 1e3, 5, "ms", False)
        finally:
            server.stop()


def first_answer(start):
    began = time.perf_counter()
    server = start()
    try:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", server.port), timeout=1) as sock:
                    sock.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    if sock.recv(100).startswith(b"HTTP/1.1 200"):
                        return (time.perf_counter() - began) * 1e3
            except OSError:
                pass
            time.sleep(0.0005)
    finally:
        server.stop()


def cold_start(setup, report):
    rounds = 5 if setup.quick else 11
    starts = {"kourou, plain": lambda: setup.kourou("bench_plain.plain"),
              "kourou, models": lambda: setup.kourou("bench_pipeline.models"),
              "kourou, native": lambda: setup.kourou("native"),
              "FastAPI": lambda: setup.uvicorn("app")}
    times = {name: [] for name in starts}
    for _ in range(rounds):
        for name, start in starts.items():
            times[name].append(first_answer(start))
    print("\nexec to first 200 on /health, ms: " + ", ".join(
        f"{name} {statistics.median(values):.1f}" for name, values in times.items()))
    report.budget("cold start without pydantic", statistics.median(times["kourou, plain"]), 20, "ms", False)
    report.budget("cold start with pydantic, ratio to FastAPI",
                  statistics.median(times["kourou, models"]) / statistics.median(times["FastAPI"]), 0.25, "x", False)


def killed_worker(setup, report):
    answers, next_one, next_two = [], [], []
    for workers, after in ((1, next_one), (2, next_two)):
        server = setup.kourou("bench_plain.spin", "--workers", str(workers)).wait()
        try:
            time.sleep(0.5)
            for _ in range(4 if setup.quick else 9):
                body = b'{"parameters":{"count":2000000000}}'
                sock = socket.create_connection(("127.0.0.1", server.port))
                sock.sendall(b"POST /invoke HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                             b"Content-Length: %d\r\n\r\n" % len(body) + body)
                time.sleep(0.15)
                busy = max(tree(server.process.pid)[1:], key=cpu_seconds)
                began = time.perf_counter()
                os.kill(busy, signal.SIGKILL)
                text = sock.recv(65536)
                answers.append((time.perf_counter() - began) * 1e3)
                assert text.startswith(b"HTTP/1.1 502"), text
                status, _ = http(server.port, "POST", "/invoke", '{"parameters":{"count":1}}')
                after.append((time.perf_counter() - began) * 1e3)
                assert status == 200
                sock.close()
                time.sleep(0.3)
        finally:
            server.stop()
    print("\nkilled worker")
    report.budget("answer to the waiting client", statistics.median(answers), 5, "ms", False)
    report.budget("next request, one worker", statistics.median(next_one), 30, "ms", False)
    report.budget("next request, two workers", statistics.median(next_two), 5, "ms", False)


def sizes(setup, report):
    print("\nsize")
    server = setup.kourou("bench_plain.plain").wait()
    models = setup.kourou("bench_pipeline.models").wait()
    peer = setup.uvicorn("app").wait()
    print(f"  resident: kourou plain {rss_mb(server.process.pid):.1f} MB, with models {rss_mb(models.process.pid):.1f} MB, "
          f"FastAPI {rss_mb(peer.process.pid):.1f} MB")
    report.budget("front and one idle worker", rss_mb(server.process.pid), 25, "MB", False)
    for one in (server, models, peer):
        one.stop()
    report.budget("kourou-serve", (setup.build / "kourou-serve").stat().st_size / 1e6, 4, "MB", False)


def main():
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a deployment has its bytecode
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=ROOT / "build")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repetitions")
    parser.add_argument("--check", action="store_true", help="exit 1 when a budget is missed")
    parser.add_argument("--json", help="file for the values")
    options = parser.parse_args()
    report = Report()
    repetitions, seconds = (3, 1) if options.quick else (7, 2)
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(options.build, folder, options.quick)
        many = compare(setup, report, 64, repetitions, seconds)
        one = compare(setup, report, 1, repetitions, seconds)
        print()
        judge(report, many, one)
        held_interpreter(setup, report)
        cold_start(setup, report)
        killed_worker(setup, report)
        sizes(setup, report)
    if options.json:
        Path(options.json).write_text(json.dumps(report.values, indent=1))
    print(f"\n{len(report.missed)} budgets missed" + (": " + ", ".join(report.missed) if report.missed else ""))
    return 1 if report.missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
