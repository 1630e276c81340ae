# SPDX-License-Identifier: Apache-2.0
"""Client: secrets, artifacts and deployments from Python."""

from __future__ import annotations

import os

from . import artifacts
from .context import _app, _run
from .errors import DeploymentError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Iterable, Iterator, List, Mapping, Optional

    from .artifacts import ArtifactVersion
    from .deploy import Deployment


def _only(method: str, more: Mapping[str, Any]) -> None:
    """Keyword arguments that need a server of ZenML's change nothing here; others are mistakes."""
    for name, value in more.items():
        if name not in ("project", "hydrate", "allow_name_prefix_match", "allow_partial_name_match", "allow_partial_id_match"):
            raise TypeError(f"Client.{method}() has no argument '{name}' ({value!r})")


class SecretValues(dict[str, str]):
    """The values of a secret by key. In a deployment they are read from the environment, where it has them."""

    def __missing__(self, key: str) -> str:
        value = os.environ.get(key)
        if value is None:
            raise NotFoundError(f"the secret has no key '{key}', and there is no environment variable of that name")
        return value


class Secret:
    """A secret: ``name`` and ``secret_values``."""

    def __init__(self, name: str, values: Mapping[str, str]) -> None:
        self.name = name
        self.secret_values = SecretValues(values)

    @property
    def values(self) -> SecretValues:
        """The same as secret_values."""
        return self.secret_values

    def __repr__(self) -> str:
        return f"Secret(name={self.name!r})"


def _deployment_secrets() -> Optional[List[str]]:
    run = _run.get()
    app = run.app if run is not None else _app.get()
    return (app.snapshot or {}).get("secrets", []) if app is not None and app.snapshot is not None else None


class ArtifactStore:
    """The folder of this machine that keeps artifacts, with the file functions that pipelines use."""

    def __init__(self) -> None:
        self.path = artifacts.store_folder()

    def _inside(self, path: str) -> str:
        full = os.path.realpath(os.path.join(self.path, path))
        if full != os.path.realpath(self.path) and not full.startswith(os.path.realpath(self.path) + os.sep):
            raise ValueError(f"{path} is outside of the artifact folder {self.path}")
        return full

    def open(self, path: str, mode: str = "r") -> IO[Any]:
        """Opens a file below the folder; folders are made for files that are written."""
        full = self._inside(path)
        if any(letter in mode for letter in "wax"):
            os.makedirs(os.path.dirname(full), mode=0o700, exist_ok=True)
        return open(full, mode, encoding=None if "b" in mode else "utf-8")

    def exists(self, path: str) -> bool:
        return os.path.exists(self._inside(path))

    def isdir(self, path: str) -> bool:
        return os.path.isdir(self._inside(path))

    def listdir(self, path: str = ".") -> List[str]:
        return sorted(os.listdir(self._inside(path)))

    def makedirs(self, path: str) -> None:
        os.makedirs(self._inside(path), mode=0o700, exist_ok=True)

    def remove(self, path: str) -> None:
        os.remove(self._inside(path))


class _Stack:
    @property
    def artifact_store(self) -> ArtifactStore:
        """Where artifacts are kept."""
        return ArtifactStore()


class Client:
    """What pipelines ask the surrounding system for. Everything is read when it is asked for."""

    @property
    def active_stack(self) -> _Stack:
        """The stack, as far as code can use it: its artifact store."""
        return _Stack()

    # -- secrets ----------------------------------------------------------------------------------

    def get_secret(self, name_id_or_prefix: str, **more: Any) -> Secret:
        """A secret. In a deployment the secrets that the pipeline names (``secrets=[...]``) are environment
        variables, one for each key; elsewhere the ``kourou`` program is asked."""
        _only("get_secret", more)
        name = str(name_id_or_prefix)
        known = _deployment_secrets()
        if known is not None:
            if name not in known:
                raise NotFoundError(f"the secret '{name}' is not part of this deployment; add it: "
                                    f"@pipeline(secrets=['{name}'])")
            return Secret(name, {})
        import json

        from .deploy import call

        try:
            about = json.loads(call("secret", "get", name, "-o", "json", timeout=60))
        except DeploymentError as error:
            raise NotFoundError(f"secret '{name}': {error.message}") from None
        if "items" in about:
            about = about["items"][0]
        return Secret(about.get("name", name), about.get("values") or about.get("secret_values") or {})

    # -- artifacts --------------------------------------------------------------------------------

    def get_artifact_version(self, name_id_or_prefix: str, version: Optional[str] = None, **more: Any) -> ArtifactVersion:
        """A kept artifact; ``load()`` gives its value. NotFoundError when there is none."""
        _only("get_artifact_version", more)
        return artifacts.find(name_id_or_prefix, version)

    def list_artifact_versions(self, name: Optional[str] = None, artifact: Optional[str] = None,
                               tag: Optional[str] = None, tags: Optional[Iterable[str]] = None,
                               version: Optional[str] = None, **more: Any) -> List[ArtifactVersion]:
        """Kept artifacts, newest first, of a name and with all of the tags."""
        _only("list_artifact_versions", more)
        wanted = set(tags or ([tag] if tag else []))
        name = name or artifact
        found: List[ArtifactVersion] = []
        for one in [name] if name else artifacts.names():
            found += reversed(artifacts.versions(one))
        return [a for a in found if wanted <= set(a.tags) and (version is None or a.version == str(version))]

    # -- deployments ------------------------------------------------------------------------------

    def get_deployment(self, name_id_or_prefix: str, **more: Any) -> Deployment:
        """A deployment by name, id or prefix."""
        _only("get_deployment", more)
        from .deploy import describe

        return describe(name_id_or_prefix)

    def list_deployments(self, **filters: object) -> List[Deployment]:
        """All deployments, or those that fit the filters (``name``, ``status``, ...)."""
        import json

        from .deploy import Deployment, call

        options = [f"--{key}={value}" for key, value in filters.items()]
        return [Deployment(item) for item in
                json.loads(call("deployment", "list", "-o", "json", "-c", "all", *options))["items"]]

    def _change(self, verb: str, name: str, *more: str, timeout: Optional[float] = None) -> None:
        from .deploy import call

        call("deployment", verb, name, *more, *(["--timeout", int(timeout)] if timeout is not None else []))

    def provision_deployment(self, name_id_or_prefix: str, snapshot_id: Optional[str] = None,
                             timeout: Optional[float] = None, **more: Any) -> Deployment:
        """Starts a deployment again, with another snapshot if one is named. DeploymentError when there is no such snapshot."""
        _only("provision_deployment", more)
        self._change("provision", name_id_or_prefix, *([f"--snapshot={snapshot_id}", "--yes"] if snapshot_id is not None else []),
                     timeout=timeout)
        return self.get_deployment(name_id_or_prefix)

    def deprovision_deployment(self, name_id_or_prefix: str, timeout: Optional[float] = None, **more: Any) -> None:
        """Stops a deployment and keeps its record."""
        _only("deprovision_deployment", more)
        self._change("deprovision", name_id_or_prefix, "--yes", timeout=timeout)

    def delete_deployment(self, name_id_or_prefix: str, force: bool = False, timeout: Optional[float] = None,
                          **more: Any) -> None:
        """Stops a deployment and removes it."""
        _only("delete_deployment", more)
        self._change("delete", name_id_or_prefix, "--yes", *(["--force"] if force else []), timeout=timeout)

    def refresh_deployment(self, name_id_or_prefix: str, **more: Any) -> Deployment:
        """Reads the state of a deployment again."""
        _only("refresh_deployment", more)
        self._change("refresh", name_id_or_prefix)
        return self.get_deployment(name_id_or_prefix)

    def get_deployment_logs(self, name_id_or_prefix: str, follow: bool = False, tail: Optional[int] = None,
                            **more: Any) -> Iterator[str]:
        """The lines of a deployment's log."""
        _only("get_deployment_logs", more)
        from .deploy import call

        if follow:
            raise DeploymentError("following a log works in the terminal: kourou deployment logs -f NAME")
        last = ["--tail", str(int(tail))] if tail is not None else []
        return iter(call("deployment", "logs", name_id_or_prefix, *last).splitlines())

    if not TYPE_CHECKING:  # else every name would be an attribute
        def __getattr__(self, name):
            raise AttributeError(f"Client has no '{name}': there is no server behind it that could do that")
