# SPDX-License-Identifier: Apache-2.0
"""Settings."""

from kourou.config import (AppExtensionSpec, CORSConfig, DeploymentDefaultEndpoints, DeploymentDefaultMiddleware,
                           DeploymentSettings, DockerSettings, EndpointMethod, EndpointSpec, MiddlewareSpec,
                           PythonPackageInstaller, ResourceSettings, SecureHeadersConfig)
from kourou.models import CachePolicy, Schedule
from kourou.options import StepRetryConfig

__all__ = ["AppExtensionSpec", "CORSConfig", "CachePolicy", "DeploymentDefaultEndpoints",
           "DeploymentDefaultMiddleware", "DeploymentSettings", "DockerSettings", "EndpointMethod", "EndpointSpec",
           "MiddlewareSpec", "PythonPackageInstaller", "ResourceSettings", "Schedule", "SecureHeadersConfig",
           "StepRetryConfig"]
