# SPDX-License-Identifier: Apache-2.0
"""What proxies in front of the server say of the client: X-Forwarded-Proto and X-Forwarded-For, of trusted ones."""

from __future__ import annotations

import ipaddress
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from ._typing import Scope

_SCHEMES = ("http", "https")


def _address(text: str) -> Tuple[str, int]:
    """(host, port) of ``host``, ``host:port`` or ``[host]:port``; anything else is a host without a port."""
    host, port = text, ""
    if text.startswith("[") and "]" in text:
        host, _, port = text[1:].partition("]")
        port = port[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    return (host, int(port)) if port.isdigit() and len(port) < 6 else (host if not port else text, 0)


class Proxies:
    """FORWARDED_ALLOW_IPS: addresses and networks whose word is taken, separated by commas; ``*`` for all."""

    def __init__(self, trusted: Optional[str] = None) -> None:
        text = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1") if trusted is None else trusted
        parts = [part.strip() for part in text.split(",") if part.strip()]
        self._all = "*" in parts
        self._networks, self._names = [], set()
        for part in parts:
            try:
                self._networks.append(ipaddress.ip_network(part, strict=False))
            except ValueError:
                self._names.add(part)

    def trusts(self, host: Optional[str]) -> bool:
        """Whether the word of this host is taken."""
        if self._all:
            return True
        try:
            address = ipaddress.ip_address(host or "")
        except ValueError:
            return host in self._names
        return any(address in network for network in self._networks)

    def apply(self, scope: Scope) -> None:
        """Scheme and client of a request as a trusted proxy says them."""
        proto, hosts = None, []
        for name, value in scope["headers"]:
            if name == b"x-forwarded-proto":
                proto = value.decode("latin-1").strip()
            elif name == b"x-forwarded-for":
                hosts += [part.strip() for part in value.decode("latin-1").split(",")]
        if (proto is None and not hosts) or not self.trusts(scope["client"] and scope["client"][0]):
            return
        if proto in _SCHEMES:
            scope["scheme"] = proto
        if hosts:
            host, port = self._nearest(hosts)
            if host:
                scope["client"] = (host, port)

    def _nearest(self, hosts: List[str]) -> Tuple[str, int]:
        """Each proxy adds the one that it saw: the last that is none of ours is the client."""
        if not self._all:
            for text in reversed(hosts):
                if not self.trusts(_address(text)[0]):
                    return _address(text)
        return _address(hosts[0])
