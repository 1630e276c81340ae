# SPDX-License-Identifier: Apache-2.0
"""The benchmark: `python -m bench` measures Kourou beside its peers and writes one report."""
