# SPDX-License-Identifier: Apache-2.0
"""Settings classes: every field of the C tables is here too, and mistakes are named."""
import json
import os
import pathlib
import subprocess

import pytest

from kourou import (AppExtensionSpec, CORSConfig, DeploymentDefaultEndpoints, DeploymentDefaultMiddleware, DeploymentSettings, DockerDeployerSettings,
                    DockerSettings, EndpointMethod, EndpointSpec, HuggingFaceDeployerSettings, LocalDeployerSettings,
                    MiddlewareSpec, PythonPackageInstaller, ResourceSettings, SecureHeadersConfig, SettingsError, pipeline, step)
from kourou.config import DockerBuildConfig, check_settings

# The table gives them the Hub's own spelling before anybody reads them.
SPELT_OTHERWISE = {"volume": ("mount_path", "read_only")}
CORE = pathlib.Path(__file__).resolve().parents[2] / "src" / "core"


def plain(settings, key="x"):
    return check_settings({key: settings}, "here")[key]


CLASSES = {"docker": DockerSettings, "resources": ResourceSettings, "deployment": DeploymentSettings, "cors": CORSConfig,
           "secure_headers": SecureHeadersConfig, "build_config": DockerBuildConfig, "endpoint": EndpointSpec,
           "middleware": MiddlewareSpec, "extension": AppExtensionSpec, "deployer.huggingface": HuggingFaceDeployerSettings,
           "deployer.local": LocalDeployerSettings, "deployer.docker": DockerDeployerSettings}


@pytest.fixture(scope="session")
def tables(build_dir):
    """{table: its rows}, of the command line tool."""
    text = subprocess.run([build_dir / "kourou", "schema", "-o", "json"], capture_output=True, text=True, check=True).stdout
    return {table["table"]: table["rows"] for table in json.loads(text)["tables"]}


@pytest.mark.parametrize("table", CLASSES)
def test_fields_are_those_of_the_command_line_tool(tables, table):
    assert CLASSES[table].field_names() == {row["name"] for row in tables[table] if not row["component_only"]}


@pytest.mark.parametrize("table", CLASSES)
def test_fields_have_the_ranges_choices_and_defaults_of_the_command_line_tool(tables, table):
    cls = CLASSES[table]
    required = {"path": "/x", "method": "GET", "handler": handler, "middleware": handler, "extension": handler}
    base = {row["name"]: required[row["name"]] for row in tables[table] if row["required"]}
    for row in (row for row in tables[table] if not row["component_only"]):
        name, wrong = row["name"], []
        wrong += [row["min"] - 1] if row["min"] is not None else []
        wrong += [row["max"] + 1] if row["max"] is not None else []
        wrong += [0, -1.5] if row["positive"] else []
        wrong += ["no such word"] if row["type"] == "choice" else []
        for value in wrong:
            with pytest.raises(SettingsError, match=rf"{cls.__name__}: {name} is {value!r}, expected"):
                cls(**{**base, name: value})
        right = [value for value in (row["min"], row["max"]) if value] + (row["choices"] if row["type"] == "choice" else [])
        for value in right:
            assert getattr(cls(**{**base, name: value}), name) == value
        if not row["required"]:
            assert in_json(getattr(cls(**base), name)) == (row["default"] if name != "cors" else
                                                           {"allow_origins": ["*"], **row["default"]}), name


def in_json(value):
    """A default of a class as the tables have it."""
    if isinstance(value, (DeploymentDefaultEndpoints, DeploymentDefaultMiddleware)):
        return [member.name.lower() for member in type(value) if value & member and not member & (member - 1)]
    if hasattr(value, "model_dump"):
        return value.model_dump()
    return list(value) if isinstance(value, tuple) else value


def test_defaults_of_the_documentation():
    hub = HuggingFaceDeployerSettings()
    assert (hub.space_hardware, hub.space_storage, hub.private, hub.app_port) == (None, None, None, 7860)
    assert (hub.lcm_timeout, hub.auth_key, hub.generate_auth_key, hub.space_prefix) == (600, None, False, "zenml")
    assert LocalDeployerSettings().port_range == (8000, 65535)
    assert DeploymentSettings().thread_pool_size == 40 and DeploymentSettings().uvicorn_workers == 1
    assert DeploymentSettings().cors.allow_methods == ["GET", "POST", "OPTIONS"]


def handler():
    return 1


class Middleware:
    pass


def test_only_what_was_set_is_written():
    settings = DeploymentSettings(
        app_title="T", log_level="debug", cors=CORSConfig(allow_origins=["a"]), startup_hook=handler,
        secure_headers={"xfo": False}, include_default_endpoints=DeploymentDefaultEndpoints.DOC,
        custom_endpoints=[EndpointSpec(path="/a", method=EndpointMethod.GET, handler=handler, auth_required=False)],
        custom_middlewares=[MiddlewareSpec(middleware=Middleware, order=2)],
        app_extensions=[{"extension": "pkg.mod.install"}])
    settings.uvicorn_workers = 3
    assert plain(settings, "deployment") == {
        "app_title": "T", "log_level": "DEBUG", "cors": {"allow_origins": ["a"]}, "startup_hook": "tests.python.test_settings.handler",
        "secure_headers": {"xfo": False}, "include_default_endpoints": ["docs", "redoc"],
        "custom_endpoints": [{"path": "/a", "method": "GET", "handler": "tests.python.test_settings.handler", "auth_required": False}],
        "custom_middlewares": [{"middleware": "tests.python.test_settings.Middleware", "order": 2}],
        "app_extensions": [{"extension": "pkg.mod.install"}], "uvicorn_workers": 3}
    assert plain(DeploymentSettings(), "deployment") == {}
    assert plain({"uvicorn_port": 1}, "deployment") == {"uvicorn_port": 1}
    docker = DockerSettings(python_package_installer=PythonPackageInstaller.UV, requirements=pathlib.Path("r.txt"),
                            build_config=DockerBuildConfig(dockerignore="x"))
    assert plain(docker, "docker") == {"python_package_installer": "uv", "requirements": "r.txt",
                                       "build_config": {"dockerignore": "x"}}


def test_values_that_are_filled_in_place_count():
    settings = DeploymentSettings()
    settings.cors.allow_origins.append("b")
    assert plain(settings, "deployment") == {"cors": {"allow_origins": ["*", "b"]}}
    assert DeploymentSettings().cors.allow_origins == ["*"]
    assert CORSConfig().allow_origins == ["*"]


def test_origins_of_a_given_cors_count():
    """What is not given keeps a deployment on this machine closed; what is given opens it."""
    assert plain(DeploymentSettings(app_title="T"), "deployment") == {"app_title": "T"}
    assert plain(DeploymentSettings(cors=CORSConfig()), "deployment") == {"cors": {"allow_origins": ["*"]}}
    assert plain(DeploymentSettings(cors=CORSConfig(allow_credentials=True)), "deployment") == {
        "cors": {"allow_origins": ["*"], "allow_credentials": True}}
    assert plain(DeploymentSettings(cors=CORSConfig(allow_origins=["https://x"])), "deployment") == {
        "cors": {"allow_origins": ["https://x"]}}


@pytest.mark.parametrize("make, words", [
    (lambda: HuggingFaceDeployerSettings(space_hardwear="x"),
     "HuggingFaceDeployerSettings has no field 'space_hardwear'; did you mean 'space_hardware'?"),
    (lambda: HuggingFaceDeployerSettings(token="x"), "has no field 'token': the token belongs to the deployer"),
    (lambda: HuggingFaceDeployerSettings(private="yes"), "private is 'yes', expected True or False"),
    (lambda: HuggingFaceDeployerSettings(app_port=80), "app_port is 80, expected between 1024 and 65535"),
    (lambda: HuggingFaceDeployerSettings(space_storage="tiny"), "expected one of small, medium, large"),
    (lambda: HuggingFaceDeployerSettings(app_port=True), "app_port is True, expected a whole number"),
    (lambda: DockerSettings(requirements=5), "requirements is 5, expected text or a list of texts"),
    (lambda: DockerSettings(apt_packages="git"), "apt_packages is 'git', expected a list of texts"),
    (lambda: DockerSettings(environment={"A": 1}), "environment is {'A': 1}, expected a dictionary"),
    (lambda: DockerSettings(skip_build=True), "skip_build=True needs a parent_image"),
    (lambda: DeploymentSettings(log_level="LOUD"), "log_level is 'LOUD', expected one of"),
    (lambda: DeploymentSettings(cors={"allow_origin": []}),
     "CORSConfig has no field 'allow_origin'; did you mean 'allow_origins'?"),
    (lambda: DeploymentSettings(custom_endpoints=[{"path": "/a"}]), "EndpointSpec: method is missing"),
    (lambda: EndpointSpec(path="/", method="FLY", handler=handler), "method is 'FLY'"),
    (lambda: EndpointSpec(path="/", method="get", handler="word"), "handler is 'word', expected a function"),
    (lambda: DeploymentSettings().__setattr__("uvicorn_workers", 0), "uvicorn_workers is 0, expected between 1 and 256"),
    (lambda: DeploymentSettings().__setattr__("workers", 1), "has no field 'workers'; did you mean 'uvicorn_workers'"),
    (lambda: DockerSettings().__setattr__("user", "x"), "DockerSettings cannot be changed"),
    (lambda: check_settings({"dockr": {}}, "here"), "here: settings: unknown key 'dockr'; did you mean 'docker'?"),
    (lambda: check_settings({"deployer.hf": {}}, "here"), "there is no deployer flavor 'hf'"),
    (lambda: check_settings({"deployer": {"prot": 1}}, "here"), "no deployer has a setting 'prot'; did you mean 'port'?"),
    (lambda: check_settings({"docker": ResourceSettings()}, "here"),
     "settings['docker']: expected DockerSettings, not ResourceSettings"),
    (lambda: check_settings({"deployer": DockerSettings()}, "here"), "expected settings of a deployer"),
    (lambda: check_settings({"docker": 5}, "here"), "int is neither a settings object nor a dictionary"),
    (lambda: check_settings([], "here"), "expected a dictionary"),
    (lambda: check_settings({"deployment": DeploymentSettings(startup_hook=lambda: 1)}, "here"),
     "cannot be imported by name"),
])
def test_mistakes_are_named(make, words):
    with pytest.raises(SettingsError) as caught:
        make()
    assert words in caught.value.message
    assert isinstance(caught.value, ValueError)


def test_settings_of_other_systems_are_left_alone():
    assert check_settings({"orchestrator.kubernetes": object(), "step_operator": {}, "deployer.gcp": {"location": "x"}},
                          "here") == {"orchestrator.kubernetes": {}, "step_operator": {}, "deployer.gcp": {"location": "x"}}


def test_secrets_are_not_shown():
    text = repr(HuggingFaceDeployerSettings(auth_key="s3cr3t", private=True))
    assert "s3cr3t" not in text and "private=True" in text


def test_copies_and_dumps():
    one = ResourceSettings(cpu_count=1, memory="1GB")
    two = one.model_copy(update={"cpu_count": 2})
    assert (one.cpu_count, two.cpu_count, two.memory) == (1, 2, "1GB")
    assert one.model_dump(exclude_unset=True) == {"cpu_count": 1, "memory": "1GB"}
    assert one == ResourceSettings(memory="1GB", cpu_count=1) and one != two
    assert one.model_fields_set == {"cpu_count", "memory"}


def test_none_is_not_set(monkeypatch):
    """As os.getenv() gives it for a variable that is not there."""
    monkeypatch.delenv("NOT_THERE", raising=False)
    absent = os.getenv("NOT_THERE")
    docker = DockerSettings(environment={"K": absent, "L": "1"}, runtime_environment={"K": absent}, python_package_installer=absent,
                            apt_packages=absent, skip_build=absent, build_config=absent)
    assert (docker.environment, docker.runtime_environment) == ({"L": "1"}, {})
    assert (docker.python_package_installer, docker.apt_packages, docker.skip_build) == ("pip", [], False)
    assert check_settings({"docker": docker}, "here")["docker"] == \
        {"environment": {"L": "1"}, "runtime_environment": {}, "build_config": None}
    assert check_settings({"docker": {"environment": {"K": absent}}}, "here") == {"docker": {"environment": {}}}
    hub = HuggingFaceDeployerSettings(space_prefix=absent, app_port=absent, private=absent, organization=absent)
    assert (hub.space_prefix, hub.app_port, hub.organization) == ("zenml", 7860, None)
    assert DeploymentSettings(root_url_path=absent, log_level=absent, uvicorn_port=absent).model_fields_set == set()
    with pytest.raises(SettingsError, match="EndpointSpec: path is missing"):
        EndpointSpec(path=absent, method="GET", handler=handler)


def test_variables_that_are_none_are_not_set():
    @step(environment={"K": None, "L": 1})
    def work() -> int:
        return 1

    @pipeline(environment={"K": None, "M": "x"})
    def p():
        return work()

    assert p.environment == {"L": "1", "M": "x"}
    assert p.with_options(environment={"M": None}).environment == {"L": "1", "M": "x"}


def test_the_file_that_a_row_names_reads_it(tables):
    root = CORE.parents[1]
    for table, rows in tables.items():
        for row in rows:
            assert (row["reader"] is None) is (row["ignored"] is not None), (table, row["name"])
            if row["reader"] is None or row["name"] in SPELT_OTHERWISE.get(table, ()):
                continue
            file = row["reader"]
            place = root / "python" / file if file.startswith("kourou/") else root / "src" / file
            assert f'"{row["name"]}"' in place.read_text(), f"{file} does not read {table} {row['name']}"
