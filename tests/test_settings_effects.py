# SPDX-License-Identifier: Apache-2.0
"""Each setting has a test that sees what it does, or is named as one without an effect when it is set.

The tables below say which test that is, for every row of `kourou schema`, every option of `kourou-serve` and every variable of
the environment. A row without an entry fails here, and so does an entry whose test does not exist or does not name the row.
"""
import ast
import json
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

SERVE = "serve/test_settings_effects.py::"
SPACE = "e2e/test_space_effects.py::"
IMAGE = "images/test_settings_effects.py::"
ORDER = "serve/test_settings_order.py::"

DOCKER = {
    "dockerfile": "images/test_docker.py::test_own_dockerfile_with_a_context_of_its_own",
    "build_context_root": "images/test_docker.py::test_own_dockerfile_with_a_context_of_its_own",
    "parent_image_build_config": "images/test_build_config.py::test_a_context_of_its_own",
    "build_config": "images/test_build_config.py::test_both_builders_leave_out_the_same",
    "skip_build": "images/test_docker.py::test_skip_build_puts_runtime_and_code_into_the_parent",
    "prevent_build_reuse": IMAGE + "test_no_build_is_used_again",
    "target_repository": "images/test_registry.py::test_both_builders_give_the_same_answers",
    "image_tag": "images/test_registry.py::test_both_builders_give_the_same_answers",
    "build_options": "images/test_build_config.py::test_options_that_docker_does_not_have",
    "dockerignore": "images/test_build_config.py::test_both_builders_leave_out_the_same",
    **dict.fromkeys(("parent_image", "python_package_installer", "python_package_installer_args", "local_project_install_command",
                     "apt_packages", "environment", "runtime_environment", "user"), SPACE + "test_settings_of_the_dockerfile"),
    **dict.fromkeys(("requirements", "required_integrations", "install_deployment_requirements",
                     "disable_automatic_requirements_detection", "replicate_local_python_environment", "pyproject_path",
                     "pyproject_export_command"), SPACE + "test_settings_of_the_requirements"),
}
DEPLOYMENT = {
    **dict.fromkeys(("app_title", "app_description", "app_version"), SERVE + "test_titles"),
    **dict.fromkeys(("docs_url_path", "redoc_url_path", "invoke_url_path", "stream_invoke_url_path", "health_url_path",
                     "info_url_path", "metrics_url_path"), SERVE + "test_each_path_is_moved"),
    **dict.fromkeys(("root_url_path", "api_url_path"), SERVE + "test_prefixes"),
    **dict.fromkeys(("startup_hook", "startup_hook_kwargs", "shutdown_hook", "shutdown_hook_kwargs"),
                    SERVE + "test_hooks_and_their_arguments"),
    "include_default_endpoints": SERVE + "test_endpoints_that_are_included",
    "include_default_middleware": SERVE + "test_middleware_that_is_included",
    "dashboard_files_path": "serve/test_endpoints.py::test_dashboard_files",
    "cors": SERVE + "test_each_part_of_cors",
    "secure_headers": SERVE + "test_each_secure_header",
    "custom_endpoints": SERVE + "test_endpoints_of_ones_own",
    "custom_middlewares": SERVE + "test_middleware_of_ones_own",
    "app_extensions": SERVE + "test_extensions",
    "thread_pool_size": "serve/test_workers.py::test_thread_pool_size_bounds_what_runs_at_once",
    "uvicorn_host": ORDER + "test_the_operator_is_nearest",
    "uvicorn_port": ORDER + "test_the_operator_is_nearest",
    "uvicorn_workers": ORDER + "test_workers_and_their_threads",
    "log_level": ORDER + "test_the_least_level_of_the_log",
    "max_body_size": ORDER + "test_the_largest_body",
    "max_queue": ORDER + "test_the_queue",
    "request_timeout": ORDER + "test_the_time_for_a_request",
    "startup_timeout": "serve/test_watchdog.py::test_start_up_and_stall_times_are_settings",
    "stall_timeout": "serve/test_watchdog.py::test_start_up_and_stall_times_are_settings",
    "isolation": "serve/test_isolation.py::test_requests_that_run_at_the_same_time_have_a_process_each",
    "processes": "serve/test_isolation.py::test_more_requests_than_processes_wait",
}
HUGGINGFACE = {
    "auth_key": SPACE + "test_the_key_of_the_app",
    "generate_auth_key": "e2e/test_space_settings.py::test_protected_space_at_the_first_deploy",
    "lcm_timeout": SPACE + "test_the_time_to_wait",
    "token": SPACE + "test_the_token_itself",
    "secret_name": SPACE + "test_the_token_itself",
    "organization": SPACE + "test_name_and_owner",
    "space_prefix": SPACE + "test_name_and_owner",
    "space_hardware": "e2e/test_space_settings.py::test_what_was_set_is_taken_back",
    "space_storage": "e2e/test_space_settings.py::test_what_was_set_is_taken_back",
    "dev_mode": "e2e/test_space_settings.py::test_what_was_set_is_taken_back",
    "visibility": "e2e/test_space_settings.py::test_visibility_is_set_when_asked",
    "private": "e2e/test_space_settings.py::test_a_private_space_is_not_published_when_the_setting_goes",
    "sleep_time": "e2e/test_space_settings.py::test_sleep_time_and_volumes_are_taken_back_on_paid_hardware",
    "space_volumes": "e2e/test_space_settings.py::test_sleep_time_and_volumes_are_taken_back_on_paid_hardware",
    "region": "e2e/test_space_settings.py::test_region_and_resource_group_count_when_the_space_is_made",
    "resource_group": "e2e/test_space_settings.py::test_region_and_resource_group_count_when_the_space_is_made",
    "build_mode": SPACE + "test_where_it_is_built",
    **dict.fromkeys(("app_port", "startup_timeout", "space_title", "space_emoji", "space_color_from", "space_color_to",
                     "space_description", "space_tags", "suggested_hardware"), SPACE + "test_settings_of_the_page"),
}
LOCAL = "local/test_settings.py::"
TABLES = {
    "docker": DOCKER,
    "build_config": dict.fromkeys(("build_options", "dockerignore"), "images/test_build_config.py::test_both_builders_leave_out_the_same"),
    "deployment": DEPLOYMENT,
    "cors": dict.fromkeys(("allow_origins", "allow_methods", "allow_headers", "allow_credentials"), SERVE + "test_each_part_of_cors"),
    "secure_headers": dict.fromkeys(("server", "hsts", "xfo", "content", "csp", "referrer", "cache", "permissions"),
                                    SERVE + "test_each_secure_header"),
    "endpoint": {**dict.fromkeys(("path", "method", "handler", "auth_required", "init_kwargs"), SERVE + "test_endpoints_of_ones_own"),
                 "extra_kwargs": SERVE + "test_routers_of_fastapi"},
    "middleware": dict.fromkeys(("middleware", "order", "init_kwargs", "extra_kwargs"), SERVE + "test_middleware_of_ones_own"),
    "extension": dict.fromkeys(("extension", "extension_kwargs"), SERVE + "test_extensions"),
    "resources": {"cpu_count": "images/test_engine.py::test_gpus_and_limits", "gpu_count": "images/test_engine.py::test_gpus_and_limits",
                  "memory": "images/test_engine.py::test_gpus_and_limits"},
    "deployer.local": {
        "auth_key": LOCAL + "test_key_by_reference_is_resolved_for_the_call_only",
        "generate_auth_key": LOCAL + "test_generated_key_protects_and_is_kept",
        "lcm_timeout": "local/test_settings_effects.py::test_the_time_to_wait",
        "port": LOCAL + "test_wanted_port_is_taken",
        "allocate_port_if_busy": LOCAL + "test_busy_port_is_an_error_that_names_it",
        "port_range": LOCAL + "test_port_range",
        "address": "local/test_settings_effects.py::test_the_address",
        "blocking": "local/test_life.py::test_blocking_stays_until_interrupted",
        "auto_reload": "local/test_reload.py::test_a_changed_file_is_served_and_no_request_is_lost",
    },
    "deployer.docker": {
        "auth_key": IMAGE + "test_a_port_that_is_taken",
        "port": "images/test_docker.py::test_network_of_the_host_and_a_fixed_port",
        "allocate_port_if_busy": IMAGE + "test_a_port_that_is_taken",
        "expose": "images/test_port.py::test_an_engine_elsewhere_is_opened_only_when_asked",
        "run_args": "images/test_restart.py::test_policies",
        **dict.fromkeys(("generate_auth_key", "port_range", "restart_policy", "lcm_timeout"),
                        IMAGE + "test_key_port_and_patience_of_a_container"),
    },
    "deployer.huggingface": HUGGINGFACE,
    "volume": dict.fromkeys(("type", "source", "mountPath", "mount_path", "revision", "path", "readOnly", "read_only"),
                            SPACE + "test_parts_of_volumes"),
    "image_builder.daemonless": {"compression": IMAGE + "test_compression", "cache_size_mb": IMAGE + "test_size_of_the_cache"},
}
REGISTRY = {
    "uri": IMAGE + "test_plain_http_where_it_is_said",
    "default_repository": IMAGE + "test_repository_of_the_registry",
    "authentication_secret": "images/test_registry.py::test_login_of_the_component",
    "insecure": IMAGE + "test_plain_http_where_it_is_said",
    "ca_file": IMAGE + "test_certificates_of_ones_own",
}
TABLES.update({f"container_registry.{flavor}": REGISTRY for flavor in ("default", "dockerhub", "github", "gcp", "azure", "aws")})

OPTIONS = {
    "snapshot": "serve/test_readonly.py::test_read_only_root",
    "root": "serve/test_native.py::test_example",
    "host": "serve/test_origin.py::test_where_it_does_not",
    "port": "serve/test_life.py::test_port_taken_is_said",
    "port-file": "serve/test_readonly.py::test_read_only_root",
    "python": "serve/test_readonly.py::test_read_only_root",
    "python-path": SERVE + "test_hooks_and_their_arguments",
    "data-dir": "serve/test_endpoints.py::test_journal_is_bounded_and_survives",
    "log-file": "serve/test_life.py::test_log_file_is_rotated",
    "log-level": ORDER + "test_the_operator_is_nearest",
    "log-size": "serve/test_life.py::test_log_file_is_rotated",
    "log-files": "serve/test_life.py::test_log_file_is_rotated",
    **dict.fromkeys(("deployment-id", "deployment-name", "snapshot-id", "snapshot-name"), "serve/test_endpoints.py::test_info_and_metrics"),
    "control": "serve/test_life.py::test_control_socket",
    "takeover": "serve/test_life.py::test_takeover_under_load_fails_no_request",
    "instance": "serve/test_gate.py::test_each_answer_names_the_start",
    "hold": "serve/test_gate.py::test_hand_over_without_a_lost_call",
    "gate": "serve/test_gate.py::test_hand_over_without_a_lost_call",
    "public-url": SERVE + "test_public_url",
    "space": "serve/test_endpoints.py::test_space_may_frame_the_page",
    "local-only": "serve/test_origin.py::test_where_it_holds",
    "reload": "serve/test_arguments.py::test_signatures_that_change_under_way",
    "allow-privileges": "serve/test_sandbox.py::test_switched_off",
    "workers": ORDER + "test_workers_and_their_threads",
    "threads": ORDER + "test_workers_and_their_threads",
    "isolation": "serve/test_asgi.py::test_applications_in_processes_of_their_own",
    "processes": ORDER + "test_the_operator_is_nearest",
    "worker-memory": "serve/test_workers.py::test_memory_runaway_is_502",
    "request-timeout": ORDER + "test_the_time_for_a_request",
    "startup-timeout": "serve/test_watchdog.py::test_a_worker_that_never_becomes_ready_is_ended",
    "stall-timeout": ORDER + "test_the_operator_is_nearest",
    "header-timeout": "serve/test_http.py::test_slow_clients_are_cut_off",
    "body-timeout": "serve/test_http.py::test_slow_clients_are_cut_off",
    "idle-timeout": "serve/test_http.py::test_slow_clients_are_cut_off",
    "write-timeout": "serve/test_http.py::test_reader_that_takes_nothing_is_closed",
    "drain-timeout": "serve/test_drain.py::test_how_long_a_drain_may_last",
    "queue-size": ORDER + "test_the_queue",
    "max-connections": "serve/test_faults.py::test_slow_heads_keep_nobody_out",
    "max-body-size": ORDER + "test_the_largest_body",
    "max-request-memory": "serve/test_memory.py::test_the_sum_can_be_set_and_what_is_beyond_it_is_told",
    "runs-kept": "serve/test_endpoints.py::test_journal_is_bounded_and_survives",
    "settings": ORDER + "test_every_row_is_tried",
    "help": "serve/test_life.py::test_help_and_version",
    "version": "serve/test_life.py::test_help_and_version",
}
VARIABLES = {
    "KOUROU_ARTIFACTS": "local/test_settings_effects.py::test_the_folder_of_artifacts",
    "KOUROU_AUTH_KEY": "serve/test_memory.py::test_without_the_key_no_body_is_read",
    "KOUROU_AUTH_KEY_FILE": "serve/test_endpoints.py::test_key_from_a_file",
    "KOUROU_CLI": "local/test_deploy_script.py::test_from_everywhere",
    "KOUROU_CLI_COLUMN_WIDTH": "cli/test_output.py::test_wide_tables_on_a_narrow_terminal",
    "KOUROU_CLI_DISABLE_DYNAMIC_COMPLETION": "local/test_settings_effects.py::test_names_are_not_completed",
    "KOUROU_DEFAULT_OUTPUT": "cli/test_output.py::test_default_output",
    "KOUROU_ENCRYPTION_KEY": "local/test_settings.py::test_own_variables_stay_out",
    "KOUROU_ENV_FILE": SERVE + "test_variables_from_a_file",
    "KOUROU_HOME": "cli/test_surroundings.py::test_a_user_without_a_home",
    "KOUROU_LOG_LEVEL": "local/test_settings_effects.py::test_the_level_of_the_logger",
    "KOUROU_PYTHON_PATH": "local/test_settings_effects.py::test_the_package_that_is_named",
    "KOUROU_RUNTIME_DIR": "e2e/test_space_needs.py::test_programs_of_another_processor",
    "KOUROU_SECRET_NAMES": "serve/test_secrets_in_log.py::test_answers_and_health_of_a_failing_start",
    "KOUROU_STORE_URL": "local/test_life.py::test_other_stores_are_left_alone",
}


class Sources:
    """Text of tests, with what they use of their module."""

    def __init__(self):
        self.modules = {}

    def module(self, path):
        if path not in self.modules:
            text = (ROOT / "tests" / path).read_text()
            names = {}
            for node in ast.parse(text).body:
                found = [node.name] if hasattr(node, "name") else [
                    name.id for target in getattr(node, "targets", []) for name in ast.walk(target) if isinstance(name, ast.Name)]
                decorators = "".join(ast.get_source_segment(text, one) + "\n" for one in getattr(node, "decorator_list", []))
                names.update(dict.fromkeys(found, decorators + (ast.get_source_segment(text, node) or "")))
            self.modules[path] = names
        return self.modules[path]

    def of(self, test):
        """Its source and that of everything of its module, and of the conftest beside it, that it leads to; None: no such test."""
        path, _, name = test.partition("::")
        if not (ROOT / "tests" / path).exists() or name not in self.module(path):
            return None
        beside = pathlib.Path(path).with_name("conftest.py")
        known = {**(self.module(beside) if (ROOT / "tests" / beside).exists() else {}), **self.module(path)}
        seen, todo = {}, [name]
        while todo:
            one = todo.pop()
            if one not in seen:
                seen[one] = known[one]
                todo += [word for word in set(re.findall(r"\w+", known[one])) if word in known]
        return "\n".join(seen.values())


@pytest.fixture(scope="module")
def sources():
    return Sources()


@pytest.fixture(scope="module")
def tables(build_dir):
    text = subprocess.run([build_dir / "kourou", "schema", "-o", "json"], capture_output=True, text=True, check=True).stdout
    return json.loads(text)["tables"]


def problems(sources, names, entries, what):
    for name in sorted(set(entries) - set(names)):
        yield f"{what}: {name} is tested and not there"
    for name in sorted(names):
        text = sources.of(entries[name]) if name in entries else None
        if text is None:
            yield f"{what}: {name} has no test that sees it" + (f": {entries[name]} is not there" if name in entries else "")
        elif not re.search(rf"(?<!\w)(?<!\w-){re.escape(name)}(?!\w|-\w)", text):
            yield f"{what}: {entries[name]} does not name {name}"


def test_each_setting_has_a_test(tables, sources):
    found = []
    for table in tables:
        read = [row["name"] for row in table["rows"] if not row["ignored"]]
        found += problems(sources, read, TABLES.get(table["table"], {}), table["table"])
    assert not found, "\n".join(found)
    assert set(TABLES) <= {table["table"] for table in tables}


def test_each_option_of_the_server_has_a_test(build_dir, sources):
    text = subprocess.run([build_dir / "kourou-serve", "--help"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^  --([a-z-]+)", text, re.M)
    assert len(names) > 40
    assert not (found := list(problems(sources, names, OPTIONS, "kourou-serve"))), "\n".join(found)


def test_each_variable_has_a_test(sources):
    names = set()
    for path in [*(ROOT / "src").rglob("*.[ch]"), *(ROOT / "python/kourou").glob("*.py")]:
        names |= set(re.findall(r'"(KOUROU_[A-Z_]*[A-Z])(?:=|")', path.read_text()))
    names -= {name for name in names if name.startswith("KOUROU_SERVE_")}  # options of the server
    assert not (found := list(problems(sources, names, VARIABLES, "environment"))), "\n".join(found)


def another(row):
    """A value that is not the default."""
    if "maps" in row["forms"]:
        return []
    return {"string": "x", "integer": (row["min"] or 0) + 3, "number": 3, "boolean": row["default"] is not True,
            "choice": (row["choices"] or [None])[-1], "list": ["x"], "map": {"A": "b"}, "object": {"a": 1}, "any": "x"}[row["type"]]


MODULE = """
from kourou import pipeline, step


@step
def one() -> int:
    return 1


@pipeline
def p() -> int:
    return one()
"""


def test_settings_without_an_effect_are_named(tables, build_dir, home, tmp_path, root):
    """All of them in one file: each is named once, with its reason."""
    settings = {table["table"]: {row["name"]: another(row) for row in table["rows"] if row["ignored"]}
                for table in tables if table["kind"] == "settings"}
    settings["deployment"]["custom_endpoints"] = [{"path": "/a", "method": "GET", "handler": "m.p", "native": True}]
    settings["deployment"]["custom_middlewares"] = [{"middleware": "m.p", "native": True}]
    (tmp_path / "m.py").write_text(MODULE)
    (tmp_path / "c.json").write_text(json.dumps({"settings": settings}))
    done = subprocess.run([build_dir / "kourou", "pipeline", "snapshot", "create", "m.p", "--name", "s", "--config", "c.json",
                           "--python", root / ".venv/bin/python"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count = 0
    for table in tables:
        if table["kind"] in ("settings", "map"):
            for row in (row for row in table["rows"] if row["ignored"]):
                count += 1
                lines = [line for line in done.stderr.splitlines() if f"'{row['name']}' in {table['title']} has no effect" in line]
                assert len(lines) == 1 and row["ignored"] in lines[0], (table["table"], row["name"], done.stderr)
    assert count >= 20


def test_attributes_without_an_effect_are_named(tables, build_dir, home):
    count = 0
    paths = {"s3": "s3://b/x", "gcs": "gs://b/x", "azure": "az://b/x", "local": "/tmp/x"}
    for table in tables:
        rows = [row for row in table["rows"] if row["ignored"]] if table["kind"] not in ("settings", "map") else []
        if not rows:
            continue
        rows = [row for row in rows if row["name"] != "secret"]  # the option of that name gives secrets to the component
        values = {row["name"]: paths[table["flavor"]] if row["name"] == "path" else another(row) for row in rows}
        words = [f"--{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]
        done = subprocess.run([build_dir / "kourou", table["kind"].replace("_", "-"), "register", f"n{table['flavor']}",
                               f"--flavor={table['flavor']}", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for row in rows:
            count += 1
            lines = [line for line in done.stderr.splitlines() if f"'{row['name']}' in" in line and "has no effect" in line]
            assert len(lines) == 1 and row["ignored"] in lines[0], (table["table"], row["name"], done.stderr)
    assert count >= 13
