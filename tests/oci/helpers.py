# SPDX-License-Identifier: Apache-2.0
"""A line that breaks, a token service, and a registry that trusts it."""
import base64
import hashlib
import http.server
import json
import secrets
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from tests.support.ports import wait_for
from tests.support.registry import CONFIG, Registry
from tests.support.relay import Relay


TCP_ENDED = (6, 7)  # TCP_TIME_WAIT, TCP_CLOSE of netinet/tcp.h


class CutProxy(Relay):
    """Leads to `port`. cut(n): the connection that carries the client's n-th byte from now on is broken there, once.
    `first`: the client learns of it when the registry has read what came and has closed its end."""

    def __init__(self, port, first=False):
        self.left, self.cuts, self.first = None, 0, first
        super().__init__(lambda: socket.create_connection(("127.0.0.1", port)))

    def cut(self, after):
        with self.lock:
            self.left = after

    def forward(self, data, sink, stream):
        broken = False
        with self.lock:
            if stream is not None and self.left is not None:
                broken = self.left < len(data)
                if broken:
                    data, self.left = data[:self.left], None
                    self.cuts += 1
                else:
                    self.left -= len(data)
        super().forward(data, sink, stream)
        if broken:
            if self.first:
                sink.shutdown(socket.SHUT_WR)
                wait_for(lambda: sink.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in TCP_ENDED, 30,
                         "the end of the registry's side")
            raise ConnectionAbortedError("cut")


class TokenService:
    """Tokens as the distribution protocol has them: signed with a key of this run, for the scopes asked for. One user with
    a password; strangers may pull what is in `public`. `lifetime` and `revoke()` make tokens fail early."""

    def __init__(self, folder, user="ann", password="open sesame", tls=None):
        self.folder, self.user, self.password = folder, user, password
        self.public, self.lifetime, self.asked, self.last = set(), 300, [], None
        self.key, self.cert = folder / "key.pem", folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.cert,
                        "-days", "2", "-subj", "/CN=token test"], check=True, capture_output=True)
        der = subprocess.run(["openssl", "x509", "-in", self.cert, "-outform", "DER"], check=True, capture_output=True)
        self.chain = base64.b64encode(der.stdout).decode()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                service.answer(self)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.server().wrap_socket(self.server.socket, server_side=True)
        self.realm = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(request.path).query)
        given = request.headers.get("Authorization", "")
        want = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        known = given == want
        self.asked.append((query.get("scope", []), known))
        if given and not known:
            return self._reply(request, 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]})
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            allowed = actions.split(",") if known else ["pull"] if name in self.public else []
            access.append({"type": kind, "name": name, "actions": allowed})
        self.last = self.sign(access)
        self._reply(request, 200, {"token": self.last, "expires_in": self.lifetime})

    @staticmethod
    def _reply(request, status, doc):
        body = json.dumps(doc).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def sign(self, access):
        def part(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
        now = int(time.time())
        text = part({"typ": "JWT", "alg": "RS256", "x5c": [self.chain]}) + b"." + part(
            {"iss": "issuer", "sub": self.user, "aud": "registry", "exp": now + self.lifetime, "nbf": now - 120, "iat": now,
             "jti": secrets.token_hex(8), "access": access})
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text, check=True, capture_output=True)
        return (text + b"." + base64.urlsafe_b64encode(signed.stdout).rstrip(b"=")).decode()


def token_config(service):
    return (f"auth:\n  token: {{{{realm: \"{service.realm}\", service: registry, issuer: issuer, "
            f"rootcertbundle: {service.cert}}}}}\n")


class OddRegistry(Registry):
    """docker-registry with another configuration."""

    def __init__(self, config, folder, **more):
        import tests.support.registry as module
        before = module.CONFIG
        module.CONFIG = config
        try:
            super().__init__(folder=folder, **more)
        finally:
            module.CONFIG = before


class TokenRegistry(OddRegistry):
    """docker-registry behind that service."""

    def __init__(self, service, folder):
        self.service = service
        super().__init__(CONFIG + token_config(service), folder)

    def _answers(self):
        return self.refuses(None)

    def refuses(self, token):
        """Whether the registry asks somebody with that token for another one."""
        try:
            return self.request("GET", "/v2/", headers={"Authorization": f"Bearer {token}"} if token else {})[0] == 401
        except OSError:
            return False


class HeldRelay(Relay):
    """Leads to a registry behind a token service. When clients have sent `after` bytes, their line waits until the
    newest token is dead; the next one lives long."""

    def __init__(self, registry, after):
        self.registry, self.after, self.held = registry, after, False
        super().__init__(lambda: socket.create_connection(("127.0.0.1", registry.port)))

    def forward(self, data, sink, stream):
        if stream is not None and not self.held and sum(map(len, self.streams)) >= self.after:
            self.held, service = True, self.registry.service
            service.lifetime = 300
            wait_for(lambda: self.registry.refuses(service.last), 60, "the end of the token")
        super().forward(data, sink, stream)


class Authority:
    """A certificate authority of this run, and what it signed: for registry.localhost and 127.0.0.1."""

    def __init__(self, folder):
        self.ca, self.cert, self.key = (str(folder / name) for name in ("ca.pem", "server.pem", "server.key"))
        own, request, names = (str(folder / name) for name in ("ca.key", "server.csr", "names"))

        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, capture_output=True)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", own, "-out", self.ca, "-days", "2",
                "-subj", "/CN=Authority of the test", "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", request, "-subj", "/CN=server")
        with open(names, "w") as out:
            out.write("subjectAltName=DNS:registry.localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", own, "-CAcreateserial", "-out", self.cert,
                "-days", "2", "-extfile", names)

    def server(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


class TlsRegistry(OddRegistry):
    """docker-registry with a certificate of that authority. `name` is one that is not known to be this machine."""

    def __init__(self, authority, folder, more=""):
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority.ca)))
        super().__init__(CONFIG.replace("secret: test", f"secret: test, tls: {{{{certificate: {authority.cert}, "
                                        f"key: {authority.key}}}}}") + more, folder)
        self.name = f"registry.localhost:{self.port}"

    def request(self, method, path, body=None, headers=None, auth=True):
        place = path.split("/v2/", 1)[1]
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}/v2/{place}", body, headers or {}, method=method)
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as wrong:
            return wrong.code, wrong.headers, wrong.read()

    def _answers(self):
        try:
            return self.request("GET", "/v2/")[0] in (200, 401)
        except OSError:
            return False


class Redirecting:
    """Sends every GET on to `to`, with TLS of that authority: what a registry does that keeps its blobs elsewhere."""

    def __init__(self, authority, to):
        front = self
        self.sent_on = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                front.sent_on.append(self.path)
                self.send_response(307)
                self.send_header("Location", to + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = authority.server().wrap_socket(self.server.socket, server_side=True)
        self.name = f"registry.localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class StrictRegistry:
    """Uploads as the distribution specification has them: bytes that arrived before a break are kept, their number can be
    asked for, and the upload goes on behind them. Only what a push needs."""

    def __init__(self):
        self.blobs, self.uploads, self.received, self.opened = {}, {}, 0, 0
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self, status, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def place(self, upload):
                size = len(registry.uploads[upload])
                return {"Location": f"/v2/x/blobs/uploads/{upload}", "Range": f"0-{max(size - 1, 0)}"}

            def take_body(self, upload):
                """False when the line broke; what came before is kept."""
                left = int(self.headers.get("Content-Length", "0"))
                while left > 0 and (data := self.rfile.read1(min(left, 65536))):
                    registry.uploads[upload] += data
                    registry.received += len(data)
                    left -= len(data)
                self.close_connection |= left > 0
                return left == 0

            def do_HEAD(self):
                self.reply(200 if self.path.rsplit("/", 1)[1] in registry.blobs else 404)

            def do_POST(self):
                registry.opened += 1
                upload = secrets.token_hex(8)
                registry.uploads[upload] = b""
                self.reply(202, **self.place(upload))

            def do_GET(self):
                upload = self.path.rsplit("/", 1)[1]
                if upload not in registry.uploads:
                    return self.reply(404)
                self.reply(204, **self.place(upload))

            def do_PATCH(self):
                upload = self.path.rsplit("/", 1)[1]
                if not self.headers.get("Content-Range"):  # the line broke in the head
                    self.close_connection = True
                    return
                start = int(self.headers["Content-Range"].split("-")[0])
                if start != len(registry.uploads[upload]):
                    self.close_connection = True
                    return self.reply(416, **self.place(upload))
                if self.take_body(upload):
                    self.reply(202, **self.place(upload))

            def do_PUT(self):
                path, _, query = self.path.partition("?")
                upload, digest = path.rsplit("/", 1)[1], urllib.parse.parse_qs(query)["digest"][0]
                if not self.take_body(upload):
                    return
                data = registry.uploads.pop(upload)
                if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
                    return self.reply(400)
                registry.blobs[digest] = data
                self.reply(201, Docker_Content_Digest=digest)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
