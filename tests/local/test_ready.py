# SPDX-License-Identifier: Apache-2.0
"""When a deployment is ready: its server's own knowledge, whatever the pipeline puts at /health; and the reason while it is not."""
import json
import subprocess

from .conftest import MODULE, wait_for

ENDPOINTS = '''

def fails():
    raise RuntimeError("not today")


def hangs():
    import time
    time.sleep(3600)


def says_no(request):
    from kourou import Response
    return Response(b'{"status": "starting", "failures": 9}', 503, {"Content-Type": "application/json"})
'''


def with_endpoint(handler, **settings):
    endpoint = f'EndpointSpec(path="/health", method="GET", handler={handler}, auth_required=False)'
    return (MODULE.replace("from kourou import pipeline, step", "from kourou import DeploymentSettings, EndpointSpec, pipeline, step")
            .replace("@step", ENDPOINTS.lstrip() + "\n\n@step")
            .replace("@pipeline", f'@pipeline(settings={{"deployment": DeploymentSettings(custom_endpoints=[{endpoint}], **{settings!r})}})'))


def test_an_endpoint_at_health_does_not_decide(project):
    for n, handler in enumerate(("fails", "hangs", "says_no")):
        project.write(with_endpoint(handler))
        project.deploy(*(("--update",) if n else ()))
        row = project.row()
        assert row["status"] == "running" and project.output() == "hello world"
        assert project.get("/.kourou/health") == (200, b'{"status":"healthy"}')
        assert project.get("/livez")[0] == 200
    assert project.get("/health")[0] == 503
    assert json.loads(project.get("/health")[1])["failures"] == 9


def test_health_elsewhere_and_health_switched_off(project):
    project.write(MODULE.replace("@pipeline", '@pipeline(settings={"deployment": {"health_url_path": "/alive", "root_url_path": "/r", '
                                              '"include_default_endpoints": ["invoke"]}})'))
    project.deploy()
    assert project.row()["status"] == "running" and project.get("/.kourou/health")[0] == 200
    assert project.get("/r/alive")[0] == 404


def test_own_paths_of_the_server_cannot_be_taken(project):
    project.write(MODULE.replace("@pipeline", '@pipeline(settings={"deployment": {"health_url_path": "/livez"}})'))
    failed = project.deploy(check=1)
    assert "health_url_path: /livez is the server's own, choose another path" in failed.stderr


def test_the_reason_is_shown_while_it_is_waited_for(project, tmp_path):
    gate = tmp_path / "go"
    project.write(MODULE.replace("@pipeline", f'''\
def slow():
    import os, time
    while not os.path.exists({str(gate)!r}):
        time.sleep(0.01)


@pipeline(on_init=slow)'''))
    deploying = project.popen("pipeline", "deploy", "--name", "app", "my_module.my_pipeline", stderr=subprocess.PIPE)
    lines = []
    while "is not ready yet" not in "".join(lines[-1:]):
        lines.append(deploying.stderr.readline())
        assert lines[-1], lines
    assert "the server is not ready yet: no worker is ready" in lines[-1]
    gate.touch()
    assert deploying.wait(60) == 0
    deploying.stderr.close()


def test_the_reason_is_told_when_time_is_over(project, tmp_path):
    project.write(MODULE.replace("@pipeline", '''\
def slow():
    import time
    time.sleep(600)


@pipeline(on_init=slow)'''))
    failed = project.deploy("--timeout", "2", check=1)
    assert "is not ready after" in failed.stderr and "no worker is ready" in failed.stderr, failed.stderr
    project.run("deployment", "delete", "app", "--yes")
    wait_for(lambda: not project.servers(), what="the end of the server")


def test_a_fresh_log_holds_no_warnings(project):
    """Who deploys asks whether the server is ready; that it is not, while it starts, is no trouble of it."""
    project.write("import time\ntime.sleep(0.5)\n" + MODULE)
    project.deploy()
    log = project.run("deployment", "logs", "app").stdout
    assert "listening on" in log and "is ready after" in log
    assert "warning" not in log and "GET" not in log, log
