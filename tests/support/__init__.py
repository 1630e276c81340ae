# SPDX-License-Identifier: Apache-2.0
"""Real parts that tests start for themselves: a Docker engine, a registry, a base image."""
