# SPDX-License-Identifier: Apache-2.0
"""Fixtures: servers that are stopped after the test and checked for what they leave behind."""
import pytest
from tests.serve.serve_harness import BIN, Preload, Server, make_snapshot


@pytest.fixture
def start(tmp_path):
    """start(deployment settings, args, ...) gives a ready server; it is stopped and checked afterwards."""
    servers = []

    def run(deployment=None, args=(), env=None, ready=True, check=True, folder=None, prefix="", program=BIN, **more):
        folder = folder or tmp_path
        server = Server(folder, make_snapshot(deployment, **more), args, env, program=program)
        server.check = check
        servers.append(server)
        return server.ready(prefix) if ready else server.listen()

    yield run
    problems = []
    for server in servers:
        try:
            if server.process.poll() is None and server.check:
                server.check_clean()
        except AssertionError as error:
            problems.append(error)
        server.close()
        try:
            server.stop(0 if server.check else None)
        except AssertionError as error:
            problems.append(error)
    if problems:
        raise problems[0]


@pytest.fixture
def preload(tmp_path):
    return Preload(tmp_path)


@pytest.fixture
def server(start):
    return start()
