# SPDX-License-Identifier: Apache-2.0
"""Runs with ZenML's Python. `seed COUNT`: fills ZenML's own store with deployments, through its own store."""
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


if __name__ == "__main__":
    assert sys.argv[1] == "seed", "usage: zenml_peer.py seed COUNT"
    seed(int(sys.argv[2]))
