# SPDX-License-Identifier: Apache-2.0
"""A Hub for tests: the HTTP surface, git storage and Space runtime that deployments talk to."""
