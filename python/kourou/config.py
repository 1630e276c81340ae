# SPDX-License-Identifier: Apache-2.0
"""Settings of pipelines: how they are built, served and deployed.

    @pipeline(settings={"docker": DockerSettings(requirements=["scikit-learn"]),
                        "deployer": HuggingFaceDeployerSettings(private=True)})

A key is ``docker``, ``deployment``, ``resources``, ``deployer`` (whatever deployer is active) or
``deployer.<flavor>``. Values can be these classes or plain dictionaries.
"""

from __future__ import annotations

from enum import Enum, IntFlag
from typing import TYPE_CHECKING

from ._settings import Settings, choice, integer, make, register_enum
from ._source import source_of
from .errors import SettingsError
from .signature import suggestion

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple, Union


class BaseDeployerSettings(Settings):
    """What all deployers understand.

    auth_key: key that callers of the deployment have to give.
    generate_auth_key: make a random one instead.
    lcm_timeout: seconds to wait until the deployment is up, or gone.
    """

    auth_key: Optional[str] = None
    generate_auth_key: bool = False
    lcm_timeout: int = 600

    _checks = {"lcm_timeout": integer(1, 86400)}


class _PortSettings(BaseDeployerSettings):
    port: Optional[int] = None
    allocate_port_if_busy: bool = True
    port_range: Tuple[int, int] = (8000, 65535)

    _checks = {"port": integer(1, 65535)}


class LocalDeployerSettings(_PortSettings):
    """Deployments as processes of this machine.

    port, allocate_port_if_busy, port_range: where to listen. address: IP address to listen on.
    blocking: stay in the foreground. auto_reload: serve the source root itself; when
    a .py file in it changes, new workers take over without a lost request.
    """

    address: str = "127.0.0.1"
    blocking: bool = False
    auto_reload: bool = False


class DockerDeployerSettings(_PortSettings):
    """Deployments as containers of this machine's Docker.

    run_args: options of ``docker run``. expose: publish the port on every address of the engine's
    machine; needs an auth_key. restart_policy: "unless-stopped", "always", "on-failure" or "no".
    """

    run_args: Dict[str, Any] = {}
    expose: bool = False
    restart_policy: str = "unless-stopped"


class HuggingFaceDeployerSettings(BaseDeployerSettings):
    """Deployments as Hugging Face Spaces.

    space_hardware: hardware tier, like "cpu-basic" or "t4-small"; the free CPU tier when unset.
    space_storage: persistent storage, "small", "medium" or "large"; none when unset.
    visibility: "public", "protected" (the app is open, the repository hidden) or "private"; as the Hub or its owner
    has it when unset. private: the older form, True for "private", False for "public".
    app_port: port that the app listens on.
    organization: owner of the Space instead of you. space_prefix: what its name begins with.
    sleep_time: seconds without a visit until it sleeps, -1 for never; paid hardware only.
    space_volumes: volumes as dictionaries (type, source, mount_path, revision, path, read_only).
    dev_mode: dev mode of the Space. region, resource_group: count when the Space is made.
    startup_timeout: seconds until the Hub gives up starting it.
    build_mode: "source" (the Space builds from the code), "image" (an image is pushed), "auto".
    space_title, space_emoji, space_color_from, space_color_to, space_description, space_tags,
    suggested_hardware: what the Space's page shows.
    """

    space_hardware: Optional[str] = None
    space_storage: Optional[str] = None
    visibility: Optional[str] = None
    private: Optional[bool] = None
    app_port: int = 7860
    organization: Optional[str] = None
    space_prefix: str = "zenml"
    sleep_time: Optional[int] = None
    space_volumes: Optional[List[Dict[str, Any]]] = None
    dev_mode: Optional[bool] = None
    region: Optional[str] = None
    resource_group: Optional[str] = None
    startup_timeout: Optional[int] = None
    build_mode: str = "auto"
    space_title: Optional[str] = None
    space_emoji: Optional[str] = None
    space_color_from: Optional[str] = None
    space_color_to: Optional[str] = None
    space_description: Optional[str] = None
    space_tags: List[str] = []
    suggested_hardware: Optional[str] = None

    _checks = {
        "space_storage": choice("small", "medium", "large"),
        "visibility": choice("public", "protected", "private"),
        "region": choice("us", "eu"),
        "build_mode": choice("auto", "source", "image"),
        "app_port": integer(1024, 65535),
        "startup_timeout": integer(60, 86400),
    }
    _not_here = {
        "token": "the token belongs to the deployer: kourou deployer register NAME --flavor=huggingface "
                 "--secret_name=SECRET",
        "secret_name": "the secret belongs to the deployer: kourou deployer register NAME --flavor=huggingface "
                       "--secret_name=SECRET",
    }


class PythonPackageInstaller(str, Enum):
    """What installs Python packages."""

    PIP = "pip"
    UV = "uv"


class DockerBuildConfig(Settings):
    """Options of an image build. build_options: for the build. dockerignore: path of an ignore file."""

    build_options: Dict[str, Any] = {}
    dockerignore: Optional[str] = None


class DockerSettings(Settings):
    """How the image of a pipeline is made: what it starts from (parent_image, dockerfile, build_context_root,
    skip_build), what is installed (requirements: a list or a path of a file, required_integrations, apt_packages,
    pyproject_path, pyproject_export_command, replicate_local_python_environment, local_project_install_command,
    python_package_installer and _args), environment (also at build time) and runtime_environment, user,
    target_repository and image_tag. The older names of these settings are accepted. Cannot be changed afterwards.
    """

    parent_image: Optional[str] = None
    dockerfile: Optional[str] = None
    build_context_root: Optional[str] = None
    parent_image_build_config: Optional[DockerBuildConfig] = None
    build_config: Optional[DockerBuildConfig] = None
    skip_build: bool = False
    prevent_build_reuse: bool = False
    target_repository: Optional[str] = None
    image_tag: Optional[str] = None
    python_package_installer: str = "pip"
    python_package_installer_args: Dict[str, Any] = {}
    disable_automatic_requirements_detection: bool = False
    replicate_local_python_environment: Union[bool, str, List[str], None] = None
    pyproject_path: Optional[str] = None
    pyproject_export_command: Union[str, List[str], None] = None
    requirements: Union[str, List[str], None] = None
    required_integrations: List[str] = []
    install_stack_requirements: bool = True
    install_deployment_requirements: bool = True
    local_project_install_command: Optional[str] = None
    apt_packages: List[str] = []
    environment: Dict[str, str] = {}
    runtime_environment: Dict[str, str] = {}
    user: Optional[str] = None
    allow_including_files_in_images: bool = True
    allow_download_from_code_repository: bool = True
    allow_download_from_artifact_store: bool = True
    build_options: Dict[str, Any] = {}
    dockerignore: Optional[str] = None
    copy_files: bool = True
    copy_global_config: bool = True
    source_files: Optional[str] = None
    required_hub_plugins: List[str] = []

    _checks = {
        "python_package_installer": choice("pip", "uv"),
        "source_files": choice("download", "include", "download_or_include", "ignore"),
    }
    _frozen = True

    def _check_all(self):
        if self.skip_build and not self.parent_image:
            raise SettingsError("DockerSettings: skip_build=True needs a parent_image")


class ResourceSettings(Settings):
    """What a deployment may use: cpu_count, gpu_count, memory ("2GB", "512MiB"), min_replicas, max_replicas,
    autoscaling_metric and _target, max_concurrency."""

    cpu_count: Optional[float] = None
    gpu_count: Optional[int] = None
    memory: Optional[str] = None
    min_replicas: Optional[int] = None
    max_replicas: Optional[int] = None
    autoscaling_metric: Optional[str] = None
    autoscaling_target: Optional[float] = None
    max_concurrency: Optional[int] = None

    _checks = {"gpu_count": integer(0), "min_replicas": integer(0), "max_replicas": integer(0),
               "max_concurrency": integer(1)}


class CORSConfig(Settings):
    """Which other sites may call the deployment from a browser. Without one, a deployment on this machine that has no
    key answers to none; with one, its allow_origins count, also when they are the usual ones."""

    allow_origins: List[str] = ["*"]
    allow_methods: List[str] = ["GET", "POST", "OPTIONS"]
    allow_headers: List[str] = ["*"]
    allow_credentials: bool = False

    def __init__(self, **values):
        super().__init__(**{"allow_origins": ["*"], **values})


class SecureHeadersConfig(Settings):
    """Security headers of every answer: True for the usual value, False for none, or the value."""

    server: Union[bool, str] = True
    hsts: Union[bool, str] = True
    xfo: Union[bool, str] = True
    content: Union[bool, str] = True
    csp: Union[bool, str] = True
    referrer: Union[bool, str] = True
    cache: Union[bool, str] = True
    permissions: Union[bool, str] = True


@register_enum
class EndpointMethod(str, Enum):
    """HTTP methods of custom endpoints."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class EndpointSpec(Settings):
    """An endpoint of your own.

    path, method: what it answers. handler: a function, a class, or the dotted name of one: a plain function with
    typed parameters, one that takes a ``request``, or an ASGI application, which is mounted at the path. With
    ``init_kwargs`` a class is created, or a function that takes ``app_runner`` is called, to get the handler.
    auth_required: whether the deployment's key has to be given. native, extra_kwargs: accepted for older pipelines.
    """

    path: str
    method: EndpointMethod
    handler: Callable
    native: bool = False
    auth_required: bool = True
    init_kwargs: Dict[str, Any] = {}
    extra_kwargs: Dict[str, Any] = {}


class MiddlewareSpec(Settings):
    """A middleware of your own: an ASGI class ``(app, **init_kwargs)`` or a function ``(app, scope, receive, send)``.
    Those with a lower order are further outside."""

    middleware: Callable
    native: bool = False
    order: int = 0
    init_kwargs: Dict[str, Any] = {}
    extra_kwargs: Dict[str, Any] = {}


class AppExtensionSpec(Settings):
    """A function, or a class with ``install``, that is called with ``app_runner`` when a worker starts."""

    extension: Callable
    extension_kwargs: Dict[str, Any] = {}


class DeploymentDefaultEndpoints(IntFlag):
    """Endpoints that a deployment has by itself."""

    NONE = 0
    DOCS = 1
    REDOC = 2
    INVOKE = 4
    HEALTH = 8
    INFO = 16
    METRICS = 32
    DASHBOARD = 64
    STREAM_INVOKE = 128
    DOC = 3
    API = 4 | 8 | 16 | 32 | 128
    ALL = 255


class DeploymentDefaultMiddleware(IntFlag):
    """What touches every answer of a deployment."""

    NONE = 0
    CORS = 1
    SECURE_HEADERS = 2
    ALL = 3


class DeploymentSettings(Settings):
    """The HTTP service of a deployed pipeline: titles, paths, which endpoints exist, CORS and security headers,
    endpoints and middleware of your own, worker processes (uvicorn_workers) and threads in each
    (thread_pool_size), limits (max_body_size, max_queue, request_timeout, startup_timeout, stall_timeout), whether requests share a
    process (isolation, processes)."""

    app_title: Optional[str] = None
    app_description: Optional[str] = None
    app_version: Optional[str] = None
    app_kwargs: Dict[str, Any] = {}
    include_default_endpoints: Any = DeploymentDefaultEndpoints.ALL
    include_default_middleware: Any = DeploymentDefaultMiddleware.ALL
    root_url_path: str = ""
    api_url_path: str = ""
    docs_url_path: str = "/docs"
    redoc_url_path: str = "/redoc"
    invoke_url_path: str = "/invoke"
    stream_invoke_url_path: Optional[str] = None
    health_url_path: str = "/health"
    info_url_path: str = "/info"
    metrics_url_path: str = "/metrics"
    dashboard_files_path: Optional[str] = None
    cors: CORSConfig = CORSConfig()
    secure_headers: SecureHeadersConfig = SecureHeadersConfig()
    thread_pool_size: int = 40
    startup_hook: Optional[Callable] = None
    startup_hook_kwargs: Dict[str, Any] = {}
    shutdown_hook: Optional[Callable] = None
    shutdown_hook_kwargs: Dict[str, Any] = {}
    custom_endpoints: Optional[List[EndpointSpec]] = None
    custom_middlewares: Optional[List[MiddlewareSpec]] = None
    app_extensions: Optional[List[AppExtensionSpec]] = None
    uvicorn_host: str = "0.0.0.0"  # noqa: S104 - inside a container
    uvicorn_port: int = 8000
    uvicorn_workers: int = 1
    uvicorn_reload: bool = False
    log_level: str = "INFO"
    uvicorn_kwargs: Dict[str, Any] = {}
    deployment_app_runner_flavor: Any = None
    deployment_app_runner_kwargs: Dict[str, Any] = {}
    deployment_service_class: Any = None
    deployment_service_kwargs: Dict[str, Any] = {}
    max_body_size: int = 268435456
    max_queue: int = 1024
    request_timeout: int = 300
    startup_timeout: int = 300
    stall_timeout: int = 10
    isolation: str = "thread"
    processes: int = 0

    _checks = {
        "thread_pool_size": integer(1, 1024), "uvicorn_port": integer(1, 65535), "uvicorn_workers": integer(1, 256),
        "max_body_size": integer(1024), "max_queue": integer(1, 1000000), "request_timeout": integer(1, 86400),
        "startup_timeout": integer(1, 86400), "stall_timeout": integer(1, 86400),
        "isolation": choice("thread", "process"), "processes": integer(0, 1024),
    }

    def _normal(self, name, value):
        if name == "log_level":
            value = getattr(value, "name", value)
            level = str(value).upper()
            if level not in ("DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL"):
                raise SettingsError(f"DeploymentSettings: log_level is {value!r}, expected one of DEBUG, INFO, "
                                    "WARNING, ERROR, CRITICAL")
            return level
        return value


GENERAL_KEYS = {"docker": DockerSettings, "deployment": DeploymentSettings, "resources": ResourceSettings}
FLAVORS = {"local": LocalDeployerSettings, "docker": DockerDeployerSettings,
           "huggingface": HuggingFaceDeployerSettings}

# Components that other systems configure in code; they have no part in a deployment.
_ELSEWHERE = {"orchestrator", "artifact_store", "container_registry", "image_builder", "step_operator",
              "model_deployer", "model_registry", "alerter", "annotator", "data_validator", "feature_store",
              "log_store", "experiment_tracker"}


def _class_of(key, where):
    kind, _, flavor = key.partition(".")
    if key in GENERAL_KEYS:
        return GENERAL_KEYS[key]
    if key == "deployer" or kind in _ELSEWHERE:
        return None
    if kind == "deployer" and flavor in FLAVORS:
        return FLAVORS[flavor]
    known = list(GENERAL_KEYS) + ["deployer"] + [f"deployer.{name}" for name in FLAVORS]
    if kind == "deployer" and flavor not in ("", "kubernetes", "gcp", "aws"):
        raise SettingsError(f"{where}: settings: there is no deployer flavor '{flavor}'{suggestion(flavor, FLAVORS)}")
    if kind == "deployer":
        return None
    raise SettingsError(f"{where}: settings: unknown key '{key}'{suggestion(key, known)}")


def check_settings(settings, where) -> dict:
    """Settings as given by the user, as a dictionary of plain JSON values that were set explicitly."""
    if not isinstance(settings, dict):
        raise SettingsError(f"{where}: settings is {settings!r}, expected a dictionary like {{'docker': ...}}")
    result = {}
    for key, value in settings.items():
        key = getattr(key, "value", key)
        expected = _class_of(str(key), where)
        if str(key).partition(".")[0] in _ELSEWHERE:
            result[str(key)] = {}  # deploying says that it has no effect
            continue
        try:
            result[key] = _plain(value, expected, key)
        except SettingsError as error:
            raise SettingsError(f"{where}: settings['{key}']: {error.message}") from None
    return result


def _plain(value, expected, key):
    if isinstance(value, Settings):
        if expected is not None and not isinstance(value, expected):
            raise SettingsError(f"expected {expected.__name__}, not {type(value).__name__}")
        if expected is None and key == "deployer" and not isinstance(value, BaseDeployerSettings):
            raise SettingsError(f"expected settings of a deployer, not {type(value).__name__}")
        return value.as_json(source_of)
    if hasattr(value, "model_dump"):
        value = value.model_dump(exclude_unset=True)
    if not isinstance(value, dict):
        raise SettingsError(f"{type(value).__name__} is neither a settings object nor a dictionary")
    if expected is not None:
        return make(expected, value).as_json(source_of)
    if key == "deployer":
        for name in value:
            known = set().union(*(flavor.field_names() for flavor in FLAVORS.values()))
            if name not in known:
                raise SettingsError(f"no deployer has a setting '{name}'{suggestion(name, known)}")
    return dict(value)
