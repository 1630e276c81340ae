# SPDX-License-Identifier: Apache-2.0
"""Named outputs, and a folder of this machine that keeps them."""

from __future__ import annotations

import os


class ArtifactConfig:
    """Name, version, tags and metadata of an output: ``Annotated[Model, ArtifactConfig(name="model")]``.

    Outputs with an ArtifactConfig are kept in the artifact folder when the pipeline runs in this process.
    """

    __slots__ = ("name", "version", "tags", "run_metadata", "artifact_type")

    def __init__(self, name=None, version=None, tags=None, run_metadata=None, artifact_type=None):
        self.name = name
        self.version = version
        self.tags = list(tags) if tags else []
        self.run_metadata = dict(run_metadata) if run_metadata else {}
        self.artifact_type = artifact_type

    def __repr__(self):
        return f"ArtifactConfig(name={self.name!r}, version={self.version!r}, tags={self.tags!r})"


class ExternalArtifact:
    """A value from outside of the pipeline: given directly, or kept under a name before."""

    def __init__(self, value=None, name=None, version=None, id=None):  # noqa: A002 - the name that is known
        self.value = value
        self.name = name or id
        self.version = version

    def load(self):
        """The value."""
        return self.value if self.name is None else load_artifact(self.name, self.version)


class ArtifactVersion:
    """One kept value. ``load()`` gives it."""

    def __init__(self, folder, about):
        self._folder = folder
        self.name = about["name"]
        self.version = about["version"]
        self.tags = list(about.get("tags", []))
        self.run_metadata = about.get("metadata", {})
        self.uri = folder
        self.id = f"{self.name}:{self.version}"

    def load(self):
        """Reads the value. Only load what you or your own pipelines have kept: it is a pickle."""
        import pickle

        with open(os.path.join(self._folder, "data.pickle"), "rb") as file:
            return pickle.load(file)  # noqa: S301 - the user's own folder

    def __repr__(self):
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


def _order(version: str):
    return (0, int(version), "") if version.isdigit() else (1, 0, version)


class _Alone:
    """One at a time in the folder of an artifact, among threads and processes."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        import fcntl

        self.lock = os.open(os.path.join(self.folder, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def __exit__(self, *_):
        os.close(self.lock)


def _replace_folder(made, target):
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


def versions(name: str):
    """The kept versions of an artifact, oldest first; numbers before other words."""
    folder = os.path.join(store_folder(), _checked(name, "an artifact"))
    if not os.path.isdir(folder):
        return []
    found = [v for v in os.listdir(folder) if v[0] != "." and os.path.exists(os.path.join(folder, v, "about.json"))]
    return [_read(os.path.join(folder, v)) for v in sorted(found, key=_order)]


def names():
    """Names of all kept artifacts."""
    folder = store_folder()
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _read(folder):
    import json

    with open(os.path.join(folder, "about.json"), encoding="utf-8") as file:
        return ArtifactVersion(folder, json.load(file))


def find(name, version=None) -> ArtifactVersion:
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


def save_artifact(data, name, version=None, tags=None, metadata=None, **_more) -> ArtifactVersion:
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


def load_artifact(name, version=None):
    """The value that was kept under a name, the newest version unless one is given."""
    return find(name, version).load()


def add_tags(tags, artifact=None, artifact_name=None, artifact_version=None, infer_artifact=False, **_more):
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


def keep_outputs(run, graph, values) -> None:
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
