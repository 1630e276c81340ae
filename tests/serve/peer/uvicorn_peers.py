# SPDX-License-Identifier: Apache-2.0
"""uvicorn with the applications of peerapp.py, each on a port of its own; the ports go to a file."""
import asyncio
import os
import sys

import peerapp
import uvicorn


async def main(path):
    servers = []
    for app, root_path in ((peerapp.star, ""), (peerapp.fast, "/fast")):
        server = uvicorn.Server(uvicorn.Config(app, port=0, http="h11", ws="none", root_path=root_path,
                                               log_level="error", access_log=False))
        server.task = asyncio.create_task(server.serve())
        servers.append(server)
    while not all(server.started for server in servers):
        await asyncio.sleep(0.01)
    with open(path + ".new", "w") as file:
        file.write(" ".join(str(s.servers[0].sockets[0].getsockname()[1]) for s in servers))
    os.rename(path + ".new", path)
    await asyncio.gather(*(server.task for server in servers))


asyncio.run(main(sys.argv[1]))
