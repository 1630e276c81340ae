# SPDX-License-Identifier: Apache-2.0
"""Request and Response of custom endpoints."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generator, Dict, Iterable, List, Mapping, Optional, Tuple, Union

    from ._typing import Headers, Scope


_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(rb"[\0\r\n]")


def checked_status(status: object) -> int:
    """The status of an answer. ValueError when it is none."""
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise ValueError(f"the status of an answer is a number from 200 to 599, not {status!r}")
    return int(status)


def checked_headers(headers: Iterable[Tuple[Union[str, bytes], Union[str, bytes]]]) -> Tuple[Headers, Optional[int]]:
    """(pairs of bytes without those of the framing, declared length or None) of the headers of an answer."""
    pairs, lengths, chunked = [], set(), False
    for name, value in headers:
        name = name.encode("latin-1") if isinstance(name, str) else bytes(name)
        value = (value.encode("latin-1") if isinstance(value, str) else bytes(value)).strip(b" \t")
        if not _NAME.fullmatch(name) or _BAD_VALUE.search(value):
            raise ValueError(f"a header of the answer is not valid: {name!r}: {value!r}")
        name = name.lower()
        if name == b"content-length":
            lengths.add(value)
        elif name == b"transfer-encoding":
            chunked = True
        else:
            pairs.append((name, value))
    if not lengths or chunked:
        return pairs, None
    text = lengths.pop()
    if lengths or not text.isdigit() or len(text) > 18:
        raise ValueError("the Content-Length of the answer is not a number, or there are several")
    return pairs, int(text)


class Request:
    """What a handler sees: method, path, path_params, query_params, headers (lower case), and the body."""

    def __init__(self, scope: Scope, body: bytes, path_params: Optional[Dict[str, str]] = None) -> None:
        self.scope = scope
        self.method = scope["method"]
        self.path = scope["path"]
        self.path_params = path_params or {}
        self.query_params = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self._body = body

    def body(self) -> "Body":
        """The body: use it as bytes, or await it."""
        return Body(self._body)

    def json(self) -> Any:
        """The body, parsed. Can be awaited too when it is an object or a list."""
        return _awaitable(json.loads(self._body))

    @property
    def state(self) -> Any:
        """pipeline_state: what on_init returned."""
        from .context import get_pipeline_context

        return get_pipeline_context().pipeline_state


class Body(bytes):
    """Bytes that can be awaited, as older handlers do."""

    def __await__(self) -> Generator[None, None, bytes]:
        return bytes(self)
        yield  # noqa: B901 - makes this a generator


class _Dict(dict[str, object]):
    def __await__(self) -> Generator[None, None, Dict[str, object]]:
        return dict(self)
        yield


class _List(list[object]):
    def __await__(self) -> Generator[None, None, List[object]]:
        return list(self)
        yield


def _awaitable(value: Any) -> Any:
    return _Dict(value) if isinstance(value, dict) else _List(value) if isinstance(value, list) else value


class Response:
    """An answer: content (bytes, text, or anything JSON can express), status, headers."""

    def __init__(self, content: Any = b"", status_code: int = 200, headers: Optional[Mapping[str, str]] = None,
                 media_type: Optional[str] = None) -> None:
        self.status_code = status_code
        self.headers = dict(headers or {})
        if isinstance(content, (bytes, bytearray, memoryview)):
            self.body, kind = bytes(content), "application/octet-stream"
        elif isinstance(content, str):
            self.body, kind = content.encode(), "text/plain; charset=utf-8"
        else:
            from .schema import json_bytes

            self.body, kind = json_bytes(content), "application/json"
        if not any(name.lower() == "content-type" for name in self.headers):
            self.headers["content-type"] = media_type or kind

    def raw_headers(self) -> Headers:
        """Pairs of bytes."""
        return [(str(k).lower().encode("latin-1"), str(v).encode("latin-1")) for k, v in self.headers.items()]
