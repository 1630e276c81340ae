# SPDX-License-Identifier: Apache-2.0
"""Named outputs, and a folder of this machine that keeps them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

    from .context import RunContext
    from .graph import Graph


class ArtifactConfig:
    """Name, version, tags and metadata of an output: ``Annotated[Model, ArtifactConfig(name="model")]``.

    Outputs with an ArtifactConfig are kept in the artifact folder when the pipeline runs in this process.
    """

    __slots__ = ("name", "version", "tags", "run_metadata", "artifact_type")

    def __init__(self, name: Optional[str] = None, version: Optional[str] = None, tags: Optional[Iterable[str]] = None,
                 run_metadata: Optional[Mapping[str, Any]] = None, artifact_type: object = None) -> None:
        self.name = name
        self.version = version
        self.tags = list(tags) if tags else []
        self.run_metadata = dict(run_metadata) if run_metadata else {}
        self.artifact_type = artifact_type

    def __repr__(self) -> str:
        return f"ArtifactConfig(name={self.name!r}, version={self.version!r}, tags={self.tags!r})"


class ExternalArtifact:
    """A value from outside of the pipeline: given directly, or kept under a name before."""

    def __init__(self, value: Any = None, name: Optional[str] = None, version: Optional[str] = None,  # noqa: A002 - the name that is known
                 id: Optional[str] = None) -> None:
        self.value = value
        self.name = name or id
        self.version = version

    def load(self) -> Any:
        """The value."""
        return self.value if self.name is None else load_artifact(self.name, self.version)


class ArtifactVersion:
    """One kept value. ``load()`` gives it."""

    def __init__(self, folder: str, about: Dict[str, Any]) -> None:
        self._folder = folder
        self.name: str = about["name"]
        self.version: str = about["version"]
        self.tags: List[str] = list(about.get("tags", []))
        self.run_metadata: Dict[str, Any] = about.get("metadata", {})
        self.uri = folder
        self.id = f"{self.name}:{self.version}"

    def load(self) -> Any:
        """Reads the value. Only load what you or your own pipelines have kept: it is a pickle."""
        import pickle

        with open(os.path.join(self._folder, "data.pickle"), "rb") as file:
            return pickle.load(file)  # noqa: S301 - the user's own folder

    def __repr__(self) -> str:
        return f"ArtifactVersion({self.id!r})"


def store_folder() -> str:
    """``$KOUROU_ARTIFACTS``, or the folder ``artifacts`` below Kourou's data folder."""
    own = os.environ.get("KOUROU_ARTIFACTS")
    if own:
        return own
    home = os.environ.get("KOUROU_HOME")
    if home:
        return os.path.join(home, "artifacts")
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "kourou", "artifacts")


def _checked(name: str, what: str) -> str:
    text = str(name)
    if not text or text in (".", "..") or "/" in text or "\\" in text or "\0" in text:
        raise ValueError(f"{text!r} is not a name of {what}: it must not be empty or have a slash")
    return text


def _order(version: str) -> Tuple[int, int, str]:
    return (0, int(version), "") if version.isdigit() else (1, 0, version)


class _Alone:
    """One at a time in the folder of an artifact, among threads and processes."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        import fcntl

        self.lock = os.open(os.path.join(self.folder, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self.lock)


def _replace_folder(made: str, target: str) -> None:
    """Puts a folder in the place of another at once, so that there is always one; without that call of the kernel nearly
    at once. What was there is removed."""
    import ctypes
    import shutil

    try:
        exchange = ctypes.CDLL(None, use_errno=True).renameat2
        swapped = exchange(-100, os.fsencode(made), -100, os.fsencode(target), 2) == 0  # AT_FDCWD, RENAME_EXCHANGE
    except (AttributeError, OSError):
        swapped = False
    if not swapped:
        os.rename(target, made + ".old")
        os.rename(made, target)
        made += ".old"
    shutil.rmtree(made, ignore_errors=True)


def versions(name: str) -> List[ArtifactVersion]:
    """The kept versions of an artifact, oldest first; numbers before other words."""
    folder = os.path.join(store_folder(), _checked(name, "an artifact"))
    if not os.path.isdir(folder):
        return []
    found = [v for v in os.listdir(folder) if v[0] != "." and os.path.exists(os.path.join(folder, v, "about.json"))]
    return [_read(os.path.join(folder, v)) for v in sorted(found, key=_order)]


def names() -> List[str]:
    """Names of all kept artifacts."""
    folder = store_folder()
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _read(folder: str) -> ArtifactVersion:
    import json

    with open(os.path.join(folder, "about.json"), encoding="utf-8") as file:
        return ArtifactVersion(folder, json.load(file))


def find(name: str, version: Optional[str] = None) -> ArtifactVersion:
    """A kept artifact, its newest version unless one is given. NotFoundError when there is none."""
    from .errors import NotFoundError

    if version is None and ":" in str(name):
        name, version = str(name).split(":", 1)
    known = versions(name)
    if not known:
        raise NotFoundError(f"there is no artifact '{name}' in {store_folder()}")
    if version is None:
        return known[-1]
    for one in known:
        if one.version == str(version):
            return one
    raise NotFoundError(f"artifact '{name}' has no version '{version}'; there are: "
                        + ", ".join(one.version for one in known))


def save_artifact(data: Any, name: str, version: Optional[str] = None, tags: Optional[Iterable[str]] = None,
                  metadata: Optional[Mapping[str, Any]] = None, **_more: Any) -> ArtifactVersion:
    """Keeps a value under a name. The version is the next number unless given; an equal one is replaced."""
    import json
    import pickle
    import tempfile

    folder = os.path.join(store_folder(), _checked(name, "an artifact"))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    try:
        content = pickle.dumps(data)
    except Exception as error:
        raise TypeError(f"artifact '{name}' of type {type(data).__name__} cannot be kept: {error}") from error
    if version is not None:
        version = _checked(version, "a version")
        if version[0] == ".":
            raise ValueError(f"{version!r} is not a name of a version: it must not begin with a dot")
    about = {"name": str(name), "tags": sorted(set(tags or [])), "metadata": metadata or {},
             "type": f"{type(data).__module__}.{type(data).__qualname__}"}
    made = tempfile.mkdtemp(prefix=".new-", dir=folder)
    try:
        with open(os.path.join(made, "data.pickle"), "wb") as file:
            file.write(content)
        with _Alone(folder):
            if version is None:
                version = str(max((int(v) for v in os.listdir(folder) if v.isdigit()), default=0) + 1)
            about["version"] = version
            with open(os.path.join(made, "about.json"), "w", encoding="utf-8") as file:
                json.dump(about, file, indent=1, sort_keys=True, default=str)
            target = os.path.join(folder, version)
            if os.path.exists(target):
                _replace_folder(made, target)
            else:
                os.rename(made, target)
    except BaseException:
        import shutil

        shutil.rmtree(made, ignore_errors=True)
        raise
    return ArtifactVersion(target, about)


def load_artifact(name: str, version: Optional[str] = None) -> Any:
    """The value that was kept under a name, the newest version unless one is given."""
    return find(name, version).load()


def add_tags(tags: Iterable[str], artifact: Optional[str] = None, artifact_name: Optional[str] = None,
             artifact_version: Optional[str] = None, infer_artifact: bool = False, **_more: Any) -> None:
    """Tags a kept artifact, or (``infer_artifact=True``, inside a step) an output of the step."""
    import json

    from .context import current_run

    run = current_run()
    if infer_artifact and run is not None and run.index >= 0:
        from .context import get_step_context

        get_step_context().add_output_tags(tags, artifact_name)
        return
    name = artifact_name or artifact
    if name is None:
        return
    one = find(name, artifact_version)
    path = os.path.join(one.uri, "about.json")
    with _Alone(os.path.dirname(one.uri)):
        with open(path, encoding="utf-8") as file:
            about = json.load(file)
        about["tags"] = sorted(set(about.get("tags", [])) | {str(t) for t in tags})
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(about, file, indent=1, sort_keys=True)
        os.replace(path + ".new", path)


def keep_outputs(run: RunContext, graph: Graph, values: Mapping[Tuple[str, int], Any]) -> None:
    """Keeps the outputs of a finished run that have an ArtifactConfig."""
    for node in graph.nodes:
        for index, output in enumerate(node.step.outputs):
            if output.config is None:
                continue
            tags = list(output.config.tags)
            for key in ("", output.name):
                tags += (run.tags or {}).get(key, [])
            metadata = dict(output.config.run_metadata)
            metadata.update((run.metadata or {}).get(f"{node.name}.{output.name}", {}))
            save_artifact(values[(node.name, index)], output.name, output.config.version, tags, metadata)
