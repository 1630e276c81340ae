# SPDX-License-Identifier: Apache-2.0
"""The exceptions of Kourou.

Every error carries a one-line ``message``, a ``kind`` (one of the words of the compiler's result:
import, attribute, not_a_pipeline, schema, parameters, config, python, internal) and, where it is
known, ``file`` and ``line`` of the user's code.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from typing_extensions import Self


class KourouError(Exception):
    """Base of all errors that Kourou raises on purpose."""

    kind = "internal"

    def __init__(self, message: str, kind: Optional[str] = None, file: Optional[str] = None, line: Optional[int] = None,
                 traceback: str = "") -> None:
        super().__init__(message)
        self.message = message
        if kind is not None:
            self.kind = kind
        self.file = file
        self.line = line
        self.traceback = traceback

    def at(self, file: Optional[str], line: Optional[int]) -> Self:
        """Adds a place unless one is known already. Returns the error."""
        if self.file is None:
            self.file, self.line = file, line
        return self


class PipelineDefinitionError(KourouError):
    """A pipeline or step is put together in a way that cannot work."""

    kind = "parameters"


class SchemaError(KourouError):
    """A parameter or output has a type that JSON cannot express."""

    kind = "schema"


class SettingsError(KourouError, ValueError):
    """A settings object or a configuration has an unknown key or a wrong value."""

    kind = "config"


class ParameterError(KourouError, ValueError):
    """Parameters given to a pipeline do not fit its signature. ``errors`` lists every problem."""

    kind = "parameters"

    def __init__(self, message: str, errors: Optional[List[Dict[str, Any]]] = None, **more: Any) -> None:
        super().__init__(message, **more)
        self.errors = errors or []


class LoadError(KourouError):
    """A snapshot cannot be served: its code is missing, broken, or not what it was."""

    kind = "import"


class OutputError(KourouError):
    """A step returned something else than its annotation says."""

    kind = "schema"


class ContextError(KourouError, RuntimeError):
    """A context was asked for where there is none."""


class DeploymentError(KourouError, RuntimeError):
    """The ``kourou`` program could not deploy or reach a deployment."""


class NotFoundError(KourouError, KeyError):
    """A secret or an artifact does not exist here."""

    def __str__(self) -> str:
        return self.message
