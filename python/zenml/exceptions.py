# SPDX-License-Identifier: Apache-2.0
"""Exceptions, under the names that are known."""

from kourou.errors import ContextError as StepContextError
from kourou.errors import DeploymentError
from kourou.errors import KourouError as ZenMLBaseException
from kourou.errors import NotFoundError as EntityNotFoundError
from kourou.errors import PipelineDefinitionError as PipelineInterfaceError
from kourou.errors import PipelineDefinitionError as StepInterfaceError

DeploymentTimeoutError = DeploymentError

__all__ = ["DeploymentError", "DeploymentTimeoutError", "EntityNotFoundError", "PipelineInterfaceError",
           "StepContextError", "StepInterfaceError", "ZenMLBaseException"]
