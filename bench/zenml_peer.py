# SPDX-License-Identifier: Apache-2.0
"""Runs with ZenML's Python and works through ZenML's own client and store.

`seed COUNT` fills its store with deployments. `stack TOKEN` makes and activates the stack that its Hugging Face
deployer asks for. `versions` prints what is measured.
"""
import importlib.metadata
import sys

from zenml.client import Client
from zenml.config.pipeline_configurations import PipelineConfiguration
from zenml.enums import StackComponentType
from zenml.models import DeploymentRequest, PipelineRequest, PipelineSnapshotRequest


def seed(count):
    """Makes deployments of an empty pipeline until there are `count`."""
    client = Client()
    project, store = client.active_project.id, client.zen_store
    have = client.list_deployments(size=1).total
    if have >= count:
        return
    names = [one.name for one in client.list_pipelines(name="my_pipeline")]
    pipeline = client.get_pipeline("my_pipeline") if names else store.create_pipeline(
        PipelineRequest(name="my_pipeline", project=project))
    snapshot = store.create_snapshot(PipelineSnapshotRequest(
        project=project, run_name_template="run", pipeline_configuration=PipelineConfiguration(name="my_pipeline"),
        stack=client.active_stack_model.id, pipeline=pipeline.id))
    deployer = client.active_stack_model.components[StackComponentType.DEPLOYER][0].id
    for number in range(have, count):
        store.create_deployment(DeploymentRequest(name=f"d{number}", project=project, snapshot_id=snapshot.id,
                                                  deployer_id=deployer))


def stack(token):
    """Its deployer wants a container registry in the stack; the image itself is given by the pipeline's settings."""
    client = Client()
    parts = {StackComponentType.ORCHESTRATOR: "default", StackComponentType.ARTIFACT_STORE: "default"}
    for kind, flavor, config in ((StackComponentType.DEPLOYER, "huggingface", {"token": token}),
                                 (StackComponentType.CONTAINER_REGISTRY, "default", {"uri": "docker.io/someone"}),
                                 (StackComponentType.IMAGE_BUILDER, "local", {})):
        client.create_stack_component(name="bench", flavor=flavor, component_type=kind, configuration=config)
        parts[kind] = "bench"
    client.create_stack(name="bench", components=parts)
    client.activate_stack("bench")


def versions():
    for name in ("zenml", "huggingface_hub"):
        print(name, importlib.metadata.version(name))


if __name__ == "__main__":
    command, *values = sys.argv[1:]
    {"seed": lambda: seed(int(values[0])), "stack": lambda: stack(values[0]), "versions": versions}[command]()
