# SPDX-License-Identifier: Apache-2.0
# Made by tools/generate-settings.py from the tables of the program (src/core): change those.
"""The settings classes."""

from __future__ import annotations

from enum import Enum, IntFlag

from ._settings import Settings, integer, positive, register_enum
from .errors import SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional, Tuple, Union

    from ._settings import Source


@register_enum
class PythonPackageInstaller(str, Enum):
    """What installs Python packages."""

    PIP = "pip"
    UV = "uv"


@register_enum
class EndpointMethod(str, Enum):
    """HTTP methods of custom endpoints."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


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
    API = 188
    ALL = 255


class DeploymentDefaultMiddleware(IntFlag):
    """What touches every answer of a deployment."""

    NONE = 0
    CORS = 1
    SECURE_HEADERS = 2
    ALL = 3


class BaseDeployerSettings(Settings):
    """What all deployers understand.

    auth_key: Key that clients of the deployment must send.
    generate_auth_key: Make a random key of 32 letters and digits when no auth_key is given.
    lcm_timeout: Seconds to wait until the deployment answers or is gone (1 to 86400).
    """

    auth_key: Optional[str] = None
    generate_auth_key: bool = False
    lcm_timeout: int = 600

    _checks = {
        "lcm_timeout": integer(1, 86400),
    }
    _sensitive = frozenset(["auth_key"])


class LocalDeployerSettings(BaseDeployerSettings):
    """Deployments as processes of this machine.

    port: Port on this machine; the one used before, then a free one, when unset (1 to 65535).
    allocate_port_if_busy: Take another port when the wanted one is in use.
    port_range: Ports to choose from: [lowest, highest].
    address: IP address to listen on.
    blocking: Stay in the foreground and show the log.
    auto_reload: Serve the source root itself: when a .py file in it changes, new workers take over.
    """

    port: Optional[int] = None
    allocate_port_if_busy: bool = True
    port_range: Tuple[int, int] = (8000, 65535)
    address: str = "127.0.0.1"
    blocking: bool = False
    auto_reload: bool = False

    _checks = {
        "port": integer(1, 65535),
    }


class DockerDeployerSettings(BaseDeployerSettings):
    """Deployments as containers of this machine's Docker.

    port: Port on this machine; the one used before, then a free one, when unset (1 to 65535).
    allocate_port_if_busy: Take another port when the wanted one is in use.
    port_range: Ports to choose from: [lowest, highest].
    expose: Publish the port on every address of the engine's machine, not only for programs on it; needs an auth_key.
    restart_policy: When the engine starts the container again by itself.
    run_args: Further options of `docker run`, by name.
    """

    port: Optional[int] = None
    allocate_port_if_busy: bool = True
    port_range: Tuple[int, int] = (8000, 65535)
    expose: bool = False
    restart_policy: Literal["unless-stopped", "always", "on-failure", "no"] = "unless-stopped"
    run_args: Dict[str, Any] = {}

    _checks = {
        "port": integer(1, 65535),
    }


class HuggingFaceDeployerSettings(BaseDeployerSettings):
    """Deployments as Hugging Face Spaces.

    organization: Owner of the Spaces; the user of the token when unset.
    space_prefix: What a Space's name begins with: <prefix>-<deployment name>.
    space_hardware: Hardware of the Space, like cpu-basic, cpu-upgrade, t4-small, t4-medium, a10g-small, a10g-large; the
        free CPU tier when unset.
    space_storage: Tier of persistent storage; none when unset.
    visibility: public: everybody sees the Space and calls the app; protected: everybody calls the app, only you or your
        organization see the repository; private: only you or your organization see and call it; as the Hub or its owner
        has it when unset.
    private: Only you, or your organization, can see the Space and call the app; the same as visibility private, and
        false as visibility public.
    app_port: Port that the app listens on in the Space (1024 to 65535).
    sleep_time: Seconds without a visit until the Space sleeps; -1: never; paid hardware only (-1 or more).
    space_volumes: Volumes of the Space: type (bucket, model, dataset, space), source, mount_path, revision, path,
        read_only.
    dev_mode: Dev mode of the Space (editors and shells connect to it); needs a plan.
    region: Where the Space's repository is kept; counts when the Space is made, for organizations with a plan.
    resource_group: Id of the organization's resource group the Space belongs to (24 hexadecimal digits); counts when
        the Space is made.
    startup_timeout: Seconds until the Hub gives up starting the app; the Hub's own 30 minutes when unset (60 to 86400).
    build_mode: source: the Space builds from the code; image: an image is pushed and used; auto: image when the stack
        has a container registry.
    space_title: Title on the Space's page.
    space_emoji: Emoji on the Space's page.
    space_color_from: First colour of the Space's card.
    space_color_to: Second colour of the Space's card.
    space_description: One line below the title, up to 60 characters.
    space_tags: Tags of the Space.
    suggested_hardware: Hardware that is proposed to those who duplicate the Space.
    """

    organization: Optional[str] = None
    space_prefix: str = "zenml"
    space_hardware: Optional[str] = None
    space_storage: Optional[Literal["small", "medium", "large"]] = None
    visibility: Optional[Literal["public", "protected", "private"]] = None
    private: Optional[bool] = None
    app_port: int = 7860
    sleep_time: Optional[int] = None
    space_volumes: Optional[List[Dict[str, Any]]] = None
    dev_mode: Optional[bool] = None
    region: Optional[Literal["us", "eu"]] = None
    resource_group: Optional[str] = None
    startup_timeout: Optional[int] = None
    build_mode: Literal["auto", "source", "image"] = "auto"
    space_title: Optional[str] = None
    space_emoji: Optional[str] = None
    space_color_from: Optional[Literal["red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"]] = None
    space_color_to: Optional[Literal["red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"]] = None
    space_description: Optional[str] = None
    space_tags: List[str] = []
    suggested_hardware: Optional[str] = None

    _checks = {
        "app_port": integer(1024, 65535),
        "sleep_time": integer(-1),
        "startup_timeout": integer(60, 86400),
    }

    _not_here = {
        "token": "the token belongs to the deployer: kourou deployer register NAME "
        "--flavor=huggingface --secret_name=SECRET",
        "secret_name": "the secret belongs to the deployer: kourou deployer register NAME "
        "--flavor=huggingface --secret_name=SECRET",
    }


class DockerBuildConfig(Settings):
    """Options of an image build.

    build_options: Further options of `docker build`, by name.
    dockerignore: Ignore file that counts instead of .dockerignore.
    """

    build_options: Dict[str, Any] = {}
    dockerignore: Optional[str] = None


class DockerSettings(Settings):
    """How the image of a pipeline is made. The older names of these settings are accepted. Cannot be changed
    afterwards.

    parent_image: Image to build on; a slim Python image when unset.
    dockerfile: Your own Dockerfile, built first; what it gives is built on instead of parent_image.
    build_context_root: Folder that your own Dockerfile sees as its context.
    parent_image_build_config: build_options and dockerignore for building your own Dockerfile.
    build_config: build_options and dockerignore for building the image of the pipeline.
    skip_build: Run parent_image as it is: nothing is installed, copied or set.
    prevent_build_reuse: Build again even when an equal image exists.
    target_repository: Repository of the image below the registry; the registry's default_repository, then `zenml`, when
        unset.
    image_tag: Tag of the image; the name of the pipeline when unset.
    python_package_installer: What installs Python packages.
    python_package_installer_args: Further options of the installer, by name; null for options without a value.
    disable_automatic_requirements_detection: Do not look for requirements.txt or pyproject.toml in the source root.
    replicate_local_python_environment: true: install what `pip freeze` lists here; or a command that prints
        requirements.
    pyproject_path: pyproject.toml whose dependencies are installed.
    pyproject_export_command: Command that turns pyproject.toml into requirements.
    requirements: Python requirements: a list, or a path of a requirements file.
    required_integrations: Integrations whose requirements are installed.
    install_stack_requirements: Install what the components of the stack need. No effect: components of a stack need no
        packages in an image.
    install_deployment_requirements: Install what serving needs; nothing beyond pydantic.
    local_project_install_command: Command that runs in the image after the code was copied.
    apt_packages: Debian packages to install in the image.
    environment: Environment variables of the image, also seen while it is built.
    runtime_environment: Environment variables of the running container only.
    user: User that the container runs as.
    allow_including_files_in_images: Code may be copied into the image. No effect: the code is always part of what is
        deployed.
    allow_download_from_code_repository: Code may come from a code repository at run time. No effect: the code is always
        part of what is deployed.
    allow_download_from_artifact_store: Code may come from the artifact store at run time. No effect: the code is always
        part of what is deployed.
    build_options: Older spelling of build_config.build_options.
    dockerignore: Older spelling of build_config.dockerignore.
    copy_files: Older spelling of allow_including_files_in_images. No effect: the code is always part of what is
        deployed.
    copy_global_config: Accepted for older pipelines; a deployment needs no global configuration. No effect: a
        deployment needs no configuration of this machine.
    source_files: Older spelling of the three allow_ settings. No effect: the code is always part of what is deployed.
    required_hub_plugins: Accepted for older pipelines; has no effect. No effect: there are no such plugins.
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
    python_package_installer: Union[Literal["pip", "uv"], PythonPackageInstaller] = "pip"
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
    source_files: Optional[Literal["download", "include", "download_or_include", "ignore"]] = None
    required_hub_plugins: List[str] = []

    _frozen = True

    def _check_all(self) -> None:
        if self.skip_build and not self.parent_image:
            raise SettingsError("DockerSettings: skip_build=True needs a parent_image")


class ResourceSettings(Settings):
    """What a deployment may use.

    cpu_count: CPUs, also parts of one (above 0; with the docker deployer only).
    gpu_count: GPUs (0 to 1024; with the docker deployer only).
    memory: Memory, like 2GB or 512MiB.
    min_replicas: Copies at least (0 to 10000). No effect: each deployment is one server; uvicorn_workers are its
        processes.
    max_replicas: Copies at most; 0 is no bound (0 to 10000). No effect: each deployment is one server; uvicorn_workers
        are its processes.
    autoscaling_metric: What decides about the number of copies. No effect: each deployment is one server, which is not
        scaled.
    autoscaling_target: Value of that metric to aim at (above 0). No effect: each deployment is one server, which is not
        scaled.
    max_concurrency: Requests that one copy works on at once (1 to 1000000). No effect: thread_pool_size and
        uvicorn_workers say how many requests run at once.
    """

    cpu_count: Optional[float] = None
    gpu_count: Optional[int] = None
    memory: Optional[str] = None
    min_replicas: Optional[int] = None
    max_replicas: Optional[int] = None
    autoscaling_metric: Optional[str] = None
    autoscaling_target: Optional[float] = None
    max_concurrency: Optional[int] = None

    _checks = {
        "cpu_count": positive,
        "gpu_count": integer(0, 1024),
        "min_replicas": integer(0, 10000),
        "max_replicas": integer(0, 10000),
        "autoscaling_target": positive,
        "max_concurrency": integer(1, 1000000),
    }


class CORSConfig(Settings):
    """Which other sites may call the deployment from a browser. Without one, a deployment on this machine that has no
    key answers to none; with one, its allow_origins count, also when they are the usual ones.

    allow_origins: Sites whose pages may call.
    allow_methods: Methods they may use.
    allow_headers: Headers they may send.
    allow_credentials: They may send cookies and logins.
    """

    allow_origins: List[str] = ['*']
    allow_methods: List[str] = ['GET', 'POST', 'OPTIONS']
    allow_headers: List[str] = ['*']
    allow_credentials: bool = False

    _given_always = ("allow_origins",)


class SecureHeadersConfig(Settings):
    """Security headers of every answer: True for the usual value, False for none, or the value. Each field is named
    after its header.

    server: server.
    hsts: strict-transport-security.
    xfo: x-frame-options.
    content: x-content-type-options.
    csp: content-security-policy.
    referrer: referrer-policy.
    cache: cache-control.
    permissions: permissions-policy.
    """

    server: Union[bool, str] = True
    hsts: Union[bool, str] = True
    xfo: Union[bool, str] = True
    content: Union[bool, str] = True
    csp: Union[bool, str] = True
    referrer: Union[bool, str] = True
    cache: Union[bool, str] = True
    permissions: Union[bool, str] = True


class EndpointSpec(Settings):
    """An endpoint of your own.

    path: Path that it answers.
    method: Method that it answers.
    handler: A function, a class, or the dotted name of one: a plain function with typed parameters, one that takes a
        `request`, or an ASGI application, which is mounted at the path.
    native: For older pipelines. No effect: it always runs in the workers.
    auth_required: Whether the deployment's key has to be given.
    init_kwargs: With these the class is created, or the function that takes `app_runner` called, to get the handler.
    extra_kwargs: Further arguments for including a router of FastAPI.
    """

    path: str
    method: Union[EndpointMethod, Literal["GET", "POST", "PUT", "PATCH", "DELETE", "get", "post", "put", "patch", "delete"]]
    handler: Source
    native: bool = False
    auth_required: bool = True
    init_kwargs: Dict[str, Any] = {}
    extra_kwargs: Dict[str, Any] = {}


class MiddlewareSpec(Settings):
    """A middleware of your own.

    middleware: An ASGI class (app, **init_kwargs), or a function (app, scope, receive, send).
    native: For older pipelines. No effect: it always runs in the workers.
    order: Those with a lower number are further outside.
    init_kwargs: Arguments of the class.
    extra_kwargs: Further arguments of the class.
    """

    middleware: Source
    native: bool = False
    order: int = 0
    init_kwargs: Dict[str, Any] = {}
    extra_kwargs: Dict[str, Any] = {}


class AppExtensionSpec(Settings):
    """What is called with ``app_runner`` when a worker starts.

    extension: A function, or a class with `install`, that is called with `app_runner` when a worker starts.
    extension_kwargs: Its arguments.
    """

    extension: Source
    extension_kwargs: Dict[str, Any] = {}


class DeploymentSettings(Settings):
    """The HTTP service of a deployed pipeline.

    app_title: Title of the API and of its page; made from the deployment's name when unset.
    app_description: Description of the API; made from the pipeline when unset.
    app_version: Version of the API; Kourou's own when unset.
    app_kwargs: For older pipelines. No effect: the server is Kourou's own and no application of FastAPI.
    include_default_endpoints: Endpoints that are served: all, none, or a list of docs, redoc, invoke, health, info,
        metrics, dashboard, stream_invoke.
    include_default_middleware: Parts that touch every answer: all, none, or a list of cors, secure_headers.
    root_url_path: Path that a proxy in front takes away.
    api_url_path: Path before those of the API.
    docs_url_path: Path of the API description for people.
    redoc_url_path: Path of its other form.
    invoke_url_path: Path that runs the pipeline.
    stream_invoke_url_path: Path that runs it and streams events; /stream below invoke_url_path when unset.
    health_url_path: Path that says whether a worker is ready.
    info_url_path: Path that describes the deployment.
    metrics_url_path: Path of the metrics.
    dashboard_files_path: Folder below the source root with your own page (index.html).
    cors: Which other sites may call: allow_origins, allow_methods, allow_headers, allow_credentials. Without
        allow_origins: all, but on this machine without a key none.
    secure_headers: Security headers: server, hsts, xfo, content, csp, referrer, cache, permissions; each true for the
        usual value, false for none, or the value.
    thread_pool_size: Threads that run steps in each worker process (1 to 1024).
    startup_hook: Function called when a worker starts.
    startup_hook_kwargs: Its arguments.
    shutdown_hook: Function called when a worker ends.
    shutdown_hook_kwargs: Its arguments.
    custom_endpoints: Your own endpoints: path, method, handler, native, auth_required, init_kwargs, extra_kwargs.
    custom_middlewares: Your own middleware: middleware, native, order, init_kwargs, extra_kwargs.
    app_extensions: Extensions of the app: extension, extension_kwargs.
    uvicorn_host: Address to listen on inside a container.
    uvicorn_port: Port to listen on inside a container (1 to 65535).
    uvicorn_workers: Worker processes (1 to 256).
    uvicorn_reload: For older pipelines. No effect: code is not read again; see auto_reload of the local deployer.
    log_level: Least level that is logged.
    uvicorn_kwargs: For older pipelines. No effect: the server is Kourou's own and not uvicorn.
    deployment_app_runner_flavor: For older pipelines. No effect: the server is Kourou's own.
    deployment_app_runner_kwargs: For older pipelines. No effect: the server is Kourou's own.
    deployment_service_class: For older pipelines. No effect: the server is Kourou's own.
    deployment_service_kwargs: For older pipelines. No effect: the server is Kourou's own.
    max_body_size: Bytes of a request body at most (1024 or more).
    max_queue: Requests that may wait for a worker (1 to 1000000).
    request_timeout: Seconds until an invocation is given up, unless the request says less (1 to 86400).
    startup_timeout: Seconds until a worker must be ready (1 to 86400).
    isolation: thread: a worker runs many requests at a time; process: each has a process of its own.
    processes: Processes at most with isolation process; 0: within 2 per processor (0 to 1024).
    stall_timeout: Seconds after which a worker is replaced that begins nothing of what it was sent (1 to 86400).
    """

    app_title: Optional[str] = None
    app_description: Optional[str] = None
    app_version: Optional[str] = None
    app_kwargs: Dict[str, Any] = {}
    include_default_endpoints: Union[int, str, List[Union[int, str]]] = DeploymentDefaultEndpoints.ALL
    include_default_middleware: Union[int, str, List[Union[int, str]]] = DeploymentDefaultMiddleware.ALL
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
    startup_hook: Optional[Source] = None
    startup_hook_kwargs: Dict[str, Any] = {}
    shutdown_hook: Optional[Source] = None
    shutdown_hook_kwargs: Dict[str, Any] = {}
    custom_endpoints: Optional[List[EndpointSpec]] = None
    custom_middlewares: Optional[List[MiddlewareSpec]] = None
    app_extensions: Optional[List[AppExtensionSpec]] = None
    uvicorn_host: str = "0.0.0.0"  # noqa: S104 - inside a container
    uvicorn_port: int = 8000
    uvicorn_workers: int = 1
    uvicorn_reload: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "debug", "info", "warning", "warn",
                       "error", "critical"] = "INFO"
    uvicorn_kwargs: Dict[str, Any] = {}
    deployment_app_runner_flavor: Any = None
    deployment_app_runner_kwargs: Dict[str, Any] = {}
    deployment_service_class: Any = None
    deployment_service_kwargs: Dict[str, Any] = {}
    max_body_size: int = 268435456
    max_queue: int = 1024
    request_timeout: int = 300
    startup_timeout: int = 300
    isolation: Literal["thread", "process"] = "thread"
    processes: int = 0
    stall_timeout: int = 10

    _checks = {
        "thread_pool_size": integer(1, 1024),
        "uvicorn_port": integer(1, 65535),
        "uvicorn_workers": integer(1, 256),
        "max_body_size": integer(1024),
        "max_queue": integer(1, 1000000),
        "request_timeout": integer(1, 86400),
        "startup_timeout": integer(1, 86400),
        "processes": integer(0, 1024),
        "stall_timeout": integer(1, 86400),
    }


GENERAL_KEYS = {"docker": DockerSettings, "deployment": DeploymentSettings, "resources": ResourceSettings}
FLAVORS = {"local": LocalDeployerSettings, "docker": DockerDeployerSettings, "huggingface": HuggingFaceDeployerSettings}
