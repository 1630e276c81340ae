# SPDX-License-Identifier: Apache-2.0
"""What asks for something that does not exist here is an error that says so, with the line; it is never just accepted."""
import json
import stat

import pytest

import kourou
from kourou import Client, ContextError, Model, Schedule, SettingsError, log_metadata, pipeline, step
from typing import Annotated


@step
def work(x: int = 1) -> Annotated[int, "made"]:
    return x


@pipeline
def plain(x: int = 1):
    return work(x)


SCHEDULE = Schedule(cron_expression="0 3 * * *")


@pytest.mark.parametrize("make, words", [
    (lambda: plain.with_options(schedule=SCHEDULE), "a schedule cannot be kept"),
    (lambda: plain.with_options().configure(schedule=SCHEDULE), "a schedule cannot be kept"),
    (lambda: plain.with_options(build="0d5ab4b8"), "builds are not chosen in code"),
    (lambda: step(step_operator="sagemaker")(lambda: None), "there is no step operator 'sagemaker'"),
    (lambda: step(step_operator=True)(lambda: None), "there is no step operator True"),
    (lambda: work.with_options(step_operator="vertex"), "there is no step operator 'vertex'"),
    (lambda: work.with_options(experiment_tracker="mlflow"), "there is no experiment tracker 'mlflow'"),
    (lambda: plain.with_options(steps={"work": {"experiment_tracker": "mlflow"}}), "there is no experiment tracker 'mlflow'"),
    (lambda: pipeline(model=Model(name="clf", version="production"))(lambda: None), "model 'clf' has no version 'production'"),
    (lambda: pipeline(model=Model("clf", "LATEST"))(lambda: None), "model 'clf' has no version 'LATEST'"),
    (lambda: plain.with_options(model=Model(name="clf", version=3)), "model 'clf' has no version 3"),
    (lambda: step(model=Model(name="clf", version="7"))(lambda: None), "model 'clf' has no version '7'"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_not_here_is_an_error_with_its_line(make, words):
    with pytest.raises(SettingsError) as caught:
        make()
    assert words in caught.value.message and caught.value.file in (__file__, None)


def test_what_says_nothing_is_fine():
    assert plain.with_options(schedule=None, build=None, unlisted=False, model=Model(name="clf", version="v1.2"))() == 1
    assert step(step_operator=False, experiment_tracker=None)(lambda: 5)() == 5
    fresh = plain.with_options(prevent_build_reuse=True, settings={"docker": {"apt_packages": ["git"]}})
    assert fresh.options["settings"]["docker"] == {"apt_packages": ["git"], "prevent_build_reuse": True}


def test_deploying_it_names_the_line(project):
    project.write("""
        from kourou import Schedule, pipeline, step
        @step
        def work() -> int:
            return 1
        @pipeline
        def p():
            return work()
        p = p.with_options(schedule=Schedule(interval_second=60))
    """)
    status, document = project.compile()
    assert status != 0 and "a schedule cannot be kept" in json.dumps(document)
    assert document["error"]["file"].endswith("mod.py") and document["error"]["line"] == 9


@pytest.mark.parametrize("more", [{"model_name": "clf"}, {"model_name": "clf", "model_version": "1"}, {"infer_model": True},
                                  {"step_name": "other"}, {"run_id_name_or_prefix": "not-this-one"}, {"step_id": "x"},
                                  {"artifact_version_id": "x"}])
def test_metadata_of_what_is_not_kept(more):
    @step
    def noting() -> int:
        log_metadata({"a": 1}, **more)
        return 1

    @pipeline
    def p():
        return noting()

    with pytest.raises(ContextError, match="log_metadata: "):
        p()
    with pytest.raises(ContextError, match="log_metadata: "):
        log_metadata({"a": 1}, **more)
    with pytest.raises(TypeError):
        log_metadata({"a": 1}, modle_name="x")


def test_metadata_of_this_very_run():
    @step
    def noting() -> int:
        run = kourou.get_step_context().pipeline_run
        log_metadata({"a": 1}, step_name="noting", run_id_name_or_prefix=run.id[:8])
        log_metadata({"b": 2}, run_id_name_or_prefix=run.name)
        assert kourou.get_step_context().pipeline_run.metadata == {"noting": {"a": 1, "b": 2}}
        return 1

    assert pipeline(lambda: noting())() == 1


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A stand-in for the command line: notes its arguments; knows one snapshot."""
    file = tmp_path / "kourou"
    file.write_text("""#!/bin/sh
echo "$@" >> "$0.log"
case "$*" in
  *--snapshot=known*) exit 0;;
  *--snapshot=*) echo "Error: no snapshot" >&2; exit 1;;
esac
echo '{"name": "d", "items": []}'
""")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("KOUROU_CLI", str(file))
    return lambda: (tmp_path / "kourou.log").read_text()


def test_provisioning_another_snapshot(program):
    with pytest.raises(kourou.DeploymentError, match="no snapshot"):
        Client().provision_deployment("d", snapshot_id="unknown")
    Client().provision_deployment("d", snapshot_id="known", timeout=5)
    assert "deployment provision d --snapshot=known --yes --timeout 5" in program()


@pytest.mark.parametrize("call", [lambda c: c.provision_deployment("d", snapshot="x"), lambda c: c.delete_deployment("d", forec=True),
                                  lambda c: c.get_artifact_version("a", versoin=2), lambda c: c.get_deployment("d", colour=1)])
def test_arguments_that_nobody_reads(program, call):
    with pytest.raises(TypeError, match="has no argument"):
        call(Client())
    Client().get_deployment("d", project="p", hydrate=True)


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("DSN", "abc")
    monkeypatch.delenv("NOT_SET", raising=False)

    def write(document):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(document))
        return str(path)

    return write


@step
def text(d: str) -> str:
    return d


@pipeline
def with_text(d: str = "d"):
    return text(d)


def test_variables_in_a_configuration_file(config):
    assert with_text.with_options(config_path=config({"parameters": {"d": "${DSN}-$${DSN}-$DSN"}}))() == "abc-${DSN}-$DSN"
    with pytest.raises(SettingsError, match=r"config.json: \$\{NOT_SET\}: the environment variable is not set"):
        with_text.with_options(config_path=config({"parameters": {"d": "x${NOT_SET}"}}))
    with pytest.raises(SettingsError, match="NOT_SET"):
        with_text.with_options(config_path=config({"steps": {"text": {"extra": {"deep": ["${NOT_SET}"]}}}}))
    made = with_text.with_options(config_path=config({"environment": {"A": "${NOT_SET}", "B": "${DSN}"}}))
    assert made.environment == {"B": "abc"}


@pytest.mark.parametrize("key, words", [("schedule", "a schedule cannot be kept"), ("build", "builds are not chosen")])
def test_keys_of_a_configuration_file(config, key, words):
    with pytest.raises(SettingsError, match=words):
        with_text.with_options(config_path=config({key: {"cron_expression": "* * * * *"}}))
    assert with_text.with_options(config_path=config({key: None}))("x") == "x"
