# SPDX-License-Identifier: Apache-2.0
"""A runner without a pipeline: the parameter `op` of a request names what happens."""
import json
import os
import sys
import threading
import time


class LoadError(Exception):
    def __init__(self, kind, message, traceback=""):
        super().__init__(message)
        self.kind, self.message, self.traceback = kind, message, traceback


def wait_until(condition):
    """For what a test decides about; gives up long after every test has."""
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)


class Runner:
    middleware = False

    def __init__(self, snapshot, root, deployment):
        self.deployment = deployment
        self.root = root
        self.routes = snapshot.get("tiny_routes", [])
        self.runs = 0
        self.lock = threading.Lock()
        self.executed = None
        self.meeting = None
        self.active = self.peak = 0

    def start(self, shared=True, own=True):
        if not shared:
            return
        print("tiny runner starts", flush=True)
        mode = ""
        path = os.path.join(self.root, "mode")
        if os.path.exists(path):
            with open(path) as file:
                mode = file.read().strip()
        if mode.startswith("fatal"):
            raise LoadError("import", mode[6:] or "no module named nothing", "Traceback: " + (mode[6:] or "nothing"))
        if mode == "thread":
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        if mode == "exit":
            print("last words of a worker", file=sys.stderr, flush=True)
            os._exit(7)
        if mode == "slow":
            wait_until(lambda: not os.path.exists(path))

    def stop(self, shared=True, own=True):
        if shared:
            print("tiny runner stops", flush=True)

    def _note(self, token):
        """For tests that count executions: one line in the file EXECUTED for each."""
        with self.lock:
            if self.executed is None:
                self.executed = os.open(os.environ["EXECUTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(self.executed, token.encode() + b"\n")

    def _meet(self, count):
        """Returns when `count` requests are in here at once: how many have been at most."""
        with self.lock:
            self.meeting = self.meeting or threading.Barrier(count)
            self.active += 1
            self.peak = max(self.peak, self.active)
        try:
            self.meeting.wait(40)
        finally:
            with self.lock:
                self.active -= 1
        return self.peak

    def _do(self, op, p):
        if "begun" in p:
            open(p["begun"], "x").close()
        if "token" in p:
            self._note(p["token"])
        if op == "echo":
            return p.get("value")
        if op == "token":
            time.sleep(p.get("seconds", 0))
            return p["token"]
        if op == "sleep":
            time.sleep(p["seconds"])
        elif op == "gate":
            wait_until(lambda: os.path.exists(p["gate"]))
        elif op == "meet":
            return self._meet(p["n"])
        elif op == "spin":
            end = time.monotonic() + p["seconds"]
            while time.monotonic() < end:
                pass
        elif op == "spin_gil":
            sum(range(int(p["n"])))
        elif op == "eat":
            keep = []
            while True:
                keep.append(bytearray(8 << 20))
        elif op == "exit":
            os._exit(p.get("status", 3))
        elif op == "abort":
            os.abort()
        elif op == "raise":
            raise ValueError(p.get("message", "boom"))
        elif op == "system_exit":
            raise SystemExit(5)
        elif op == "big":
            return "x" * int(p["n"])
        elif op == "length":
            return len(p["value"])
        elif op == "pid":
            return os.getpid()
        elif op == "threads":
            return threading.active_count()
        elif op == "print":
            print(p["text"], flush=True)
        elif op == "python":
            scope = {"__name__": "step"}
            exec(p["code"], scope)
            return scope["result"]
        elif op == "child":
            import subprocess

            return subprocess.Popen(["sleep", "1000"]).pid
        return None

    def invoke(self, body, run_id):
        try:
            request = json.loads(body)
            p = request["parameters"]
        except Exception as error:
            detail = [{"type": "json_invalid", "loc": ["body"], "msg": str(error)}]
            return 422, json.dumps({"detail": detail}).encode(), 0
        t0 = time.perf_counter()
        try:
            with self.lock:
                self.runs += 1
            value = self._do(p.get("op", "echo"), p)
        except Exception as error:
            text = {"success": False, "outputs": None, "execution_time": 0.0,
                    "metadata": {"run_id": run_id}, "error": str(error)}
            return 500, json.dumps(text).encode(), 0
        out = {"success": True, "outputs": {"output": value}, "execution_time": time.perf_counter() - t0,
               "metadata": {"run_id": run_id, "run_name": request.get("run_name")}, "error": None}
        return 200, json.dumps(out).encode(), 2 | p.get("flags", 0)

    def batch(self, body, run_id):
        items = json.loads(body)
        out = [json.loads(self.invoke(json.dumps(item).encode(), run_id)[1]) for item in items]
        return 200, json.dumps(out).encode()

    def stream(self, body, run_id):
        p = json.loads(body)["parameters"]
        if "token" in p:
            self._note(p["token"])
        started = {"run_id": run_id, "token": p.get("token")}
        yield b"event: run_started\ndata: %s\n\n" % json.dumps(started).encode()
        for i in range(int(p.get("count", 3))):
            if p.get("pause"):
                time.sleep(p["pause"])
            if p.get("exit_at") == i:
                os._exit(9)
            if i == 1 and "gate" in p:
                wait_until(lambda: os.path.exists(p["gate"]))
            yield b'event: user_message\ndata: {"value":%d,"pad":"%s"}\n\n' % (i, b"y" * int(p.get("pad", 0)))
        yield b'event: run_finished\ndata: {"success":true}\n\n'

    def custom(self, method, path, query, headers, body, run_id):
        seen = {"method": method, "path": path, "query": query, "body": body.decode(),
                "headers": {k.decode(): v.decode("latin-1") for k, v in headers}}
        status = int(query[7:]) if query.startswith("status=") else 201
        return status, [(b"content-type", b"application/json"), (b"x-custom", b"yes")], json.dumps(seen).encode()


def load(snapshot, root, deployment):
    return Runner(snapshot, root, deployment)
