# SPDX-License-Identifier: Apache-2.0
"""--rehearse: what a Space would run is built, run and called here first."""


def ready(project, hub):
    project.env["HF_ENDPOINT"] = hub.url
    project.stack("huggingface", "--token=hf_test_alice", "--auth_key=the-auth-key-9")


def nothing_left(project):
    assert project.images.engine.containers("kourou.deployment.id") == []
    tags = [tag for image in project.images.engine.images() for tag in image["RepoTags"] or []]
    assert not [tag for tag in tags if tag.startswith("kourou-rehearsal")]


def test_goes_on_when_it_answers(project, hub):
    ready(project, hub)
    done = project.deploy("--rehearse", check=0)
    assert "Rehearsed: it builds, is healthy and answers" in done.stderr
    assert hub.space("alice/zenml-greeter").state()["stage"] == "RUNNING"
    nothing_left(project)


def test_a_failing_call_stops_before_the_space(project, hub):
    ready(project, hub)
    source = project.folder / "my_module.py"
    source.write_text(source.read_text().replace("return len(text)", 'raise ValueError("not today")'))
    hub.reset_counters()
    done = project.deploy("--rehearse", check=1)
    assert "rehearsal" in done.stderr and "not today" in done.stderr, done.stderr
    assert [e for e in hub.log("hub") if e["method"] != "GET"] == []
    nothing_left(project)


def test_needs_docker(project, hub):
    ready(project, hub)
    done = project.deploy("--rehearse", env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, check=1)
    assert "--rehearse needs Docker" in done.stderr, done.stderr
