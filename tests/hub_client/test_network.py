# SPDX-License-Identifier: Apache-2.0
"""What libcurl is asked to do: certificates, proxies, redirects, connections, memory."""
import http.server
import json
import ssl
import subprocess
import threading
import time

import pytest

from tests.hub_client.conftest import program


class Server(http.server.ThreadingHTTPServer):
    """Answers by a function (handler) -> (status, headers, body) and keeps what it saw."""

    daemon_threads = True

    def __init__(self, answer, context=None):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                seen.append((self.path, dict(self.headers), self.client_address))
                status, headers, body = answer(self)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


@pytest.fixture
def certificate(tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True,
                   capture_output=True)
    return key, cert


RUNTIME = b'{"stage":"RUNNING"}'


def answers(_):
    return 200, {"Content-Type": "application/json"}, RUNTIME


def test_certificates(client, certificate):
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with Server(answers, context) as server:
        client.extra = {"HF_ENDPOINT": f"https://localhost:{server.port}"}
        error = client.fails("network", "runtime", "alice/x")
        assert "SSL_CERT_FILE" in error["hint"] and not server.seen
        for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE"):
            client.extra = {"HF_ENDPOINT": f"https://localhost:{server.port}", name: str(cert)}
            assert client("runtime", "alice/x")["stage"] == "RUNNING"
        client.extra = {"HF_ENDPOINT": f"https://127.0.0.1:{server.port}", "SSL_CERT_FILE": str(cert)}
        assert client.fails("network", "runtime", "alice/x")["hint"]  # another name than the certificate's


def test_proxy(client):
    with Server(answers) as proxy:
        client.extra = {"HF_ENDPOINT": "http://hub.invalid", "http_proxy": f"http://127.0.0.1:{proxy.port}"}
        assert client("runtime", "alice/x")["stage"] == "RUNNING"
        assert proxy.seen[0][0] == "http://hub.invalid/api/spaces/alice/x/runtime"


def test_this_machine_is_asked_without_a_proxy(client):
    """The proxy would get the calls of local deployments, with their keys."""
    with Server(answers) as proxy, Server(answers) as hub:
        for host in ("127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST"):
            for name in ("http_proxy", "all_proxy", "ALL_PROXY"):
                client.extra = {"HF_ENDPOINT": f"http://{host}:{hub.port}", name: f"http://127.0.0.1:{proxy.port}"}
                if host == "127.0.0.2":  # nobody listens there
                    assert "cannot reach 127.0.0.2" in client.fails("network", "runtime", "alice/x")["message"]
                else:
                    assert client("runtime", "alice/x")["stage"] == "RUNNING"
        assert proxy.seen == []


def test_no_proxy(client):
    with Server(answers) as proxy:
        client.extra = {"HF_ENDPOINT": "http://hub.invalid", "http_proxy": f"http://127.0.0.1:{proxy.port}",
                        "NO_PROXY": "example.com,.invalid"}
        assert "cannot reach hub.invalid" in client.fails("network", "runtime", "alice/x")["message"]
        assert proxy.seen == []


def test_unknown_host(client):
    client.extra = {"HF_ENDPOINT": "http://hub.invalid"}
    assert "cannot reach hub.invalid" in client.fails("network", "runtime", "alice/x")["message"]


def test_redirect_to_another_origin_carries_no_token(client):
    with Server(answers) as other:
        def moved(_):
            return 307, {"Location": f"http://127.0.0.1:{other.port}/elsewhere"}, b""
        with Server(moved) as hub:
            client.extra = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.port}"}
            assert client("runtime", "alice/x")["stage"] == "RUNNING"
            assert hub.seen[0][1]["Authorization"] == f"Bearer {client.token}"
            assert "Authorization" not in other.seen[0][1]
            assert not any(client.token in value for value in other.seen[0][1].values())
            # a POST is not carried on at all
            assert client.fails("conflict", "pause", "alice/x")["status"] == 307
            assert len(other.seen) == 1


def test_endless_redirects_end(client):
    with Server(lambda handler: (302, {"Location": handler.path}, b"")) as hub:
        client.extra = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.port}"}
        assert client.fails("conflict", "runtime", "alice/x")["status"] == 302
        assert len(hub.seen) == 6


def test_connections_are_reused(client):
    with Server(lambda handler: (200, {}, b"{}")) as hub:
        client.extra = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.port}"}
        client("vars", "alice/x", input={"variables": {f"V{n}": "x" for n in range(8)}})
        assert len(hub.seen) == 10 and len({peer for _, _, peer in hub.seen}) == 1


def test_answer_without_end_is_bounded(client):
    with Server(lambda handler: (200, {}, b" " * (17 * 1024 * 1024))) as hub:
        client.extra = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.port}"}
        assert "answer too long: more than 16777216 bytes" in client.fails("limit", "runtime", "alice/x")["message"]


def watch_peak(run):
    """Most memory of a process in kB: the counter in /proc only grows, so its last reading will do."""
    peak = 0
    while run.poll() is None:
        with open(f"/proc/{run.pid}/status") as status:
            found = [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
        peak = max([peak, *found])
        time.sleep(0.01)
    return peak


def test_large_upload_needs_little_memory(shared_hub, client, space_id, tmp_path):
    """The peak of the process does not grow with what it sends."""
    root = tmp_path / "app"
    root.mkdir()
    with open(root / "big.bin", "wb") as big:
        big.truncate(300_000_000)
    shared_hub.settings(multipart_size=64_000_000, chunk_size=16_000_000)
    try:
        client("create", space_id, input={})
        run = client.start("sync", space_id, root, "deployment-1")
        peak = watch_peak(run)
        text, _ = run.communicate()
    finally:
        shared_hub.settings(multipart_size=300_000, chunk_size=100_000)
    assert json.loads(text)["uploaded"] >= 300_000_000
    sanitized = b"__asan" in program().read_bytes()
    assert peak < (200_000 if sanitized else 25_000), f"{peak} kB"
