# SPDX-License-Identifier: Apache-2.0
"""DeploymentSettings and what it is made of."""

from kourou.config import (AppExtensionSpec, CORSConfig, DeploymentDefaultEndpoints, DeploymentDefaultMiddleware,
                           DeploymentSettings, EndpointMethod, EndpointSpec, MiddlewareSpec, SecureHeadersConfig)

__all__ = ["AppExtensionSpec", "CORSConfig", "DeploymentDefaultEndpoints", "DeploymentDefaultMiddleware",
           "DeploymentSettings", "EndpointMethod", "EndpointSpec", "MiddlewareSpec", "SecureHeadersConfig"]
