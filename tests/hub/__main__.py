# SPDX-License-Identifier: Apache-2.0
"""Starts the Hub: python -m tests.hub --data DIR [--port N] [--port-file F] [--docker-host unix:///...]"""

import argparse
import importlib
import json
import os
import pathlib
import signal
import sys
import threading

from . import control
from .core import Hub

# every module that declares routes
ROUTES = ("accounts", "commits", "files", "hardware", "keys", "lfs", "logs", "repos", "runtime_routes")


def arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.hub", description=__doc__)
    parser.add_argument("--data", required=True, help="folder for repositories and LFS objects")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", help="written with all addresses as JSON once the Hub listens")
    parser.add_argument("--no-docker", action="store_true", help="builds and apps are scripted")
    parser.add_argument("--docker-host", help="address of the Docker engine, unix:///...")
    parser.add_argument("--docker", default="docker", help="the docker command line program that builds")
    parser.add_argument("--build-network", default="host", choices=("host", "none"))
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME[:TOKEN[:ROLE]]",
        help="an account with a token; given none, alice with hf_test_alice",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="a setting to begin with")
    return parser.parse_args()


def make_engine(options):
    if options.no_docker or not options.docker_host:
        from .engine_scripted import Scripted

        return Scripted()
    from .engine_docker import Docker

    return Docker(options.docker_host, options.docker, options.build_network)


def main():
    options = arguments()
    data = pathlib.Path(options.data).resolve()
    data.mkdir(parents=True, exist_ok=True)
    for name in ROUTES:
        importlib.import_module(f"tests.hub.{name}")
    engine = make_engine(options)
    hub = Hub(data, engine, {"port": options.port})
    engine.hub = hub
    for text in options.user or ["alice:hf_test_alice:write"]:
        name, token, role = (text.split(":") + ["", ""])[:3]
        control.add_account(hub.state, name)
        if token:
            control.add_token(hub.state, name, role or "write", name=name, value=token)
    for text in options.set:
        key, _, value = text.partition("=")
        assert hasattr(hub.state.settings, key), f"there is no setting {key}"
        setattr(hub.state.settings, key, json.loads(value))
    ended = threading.Event()
    hub.stop_program = ended.set
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.port_file:
        part = pathlib.Path(options.port_file + ".part")
        part.write_text(json.dumps({**hub.addresses(), "pid": os.getpid()}) + "\n")
        part.rename(options.port_file)
    print(f"test Hub at {hub.url}, control {hub.control_url}", file=sys.stderr, flush=True)
    ended.wait()
    hub.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
