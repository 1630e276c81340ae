# SPDX-License-Identifier: Apache-2.0
"""Descriptions that pipelines may carry. They are kept and shown, and change nothing about how a pipeline runs."""

from __future__ import annotations


class _Record:
    _fields = ()

    def __init__(self, *args, **values):
        values.update(zip(self._fields, args))
        for name in self._fields:
            setattr(self, name, values.pop(name, None))
        for name, value in values.items():
            setattr(self, name, value)

    def __repr__(self):
        inner = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if v is not None)
        return f"{type(self).__name__}({inner})"


class Model(_Record):
    """A model that a pipeline makes or uses."""

    _fields = ("name", "version", "license", "description", "audience", "use_cases", "limitations", "trade_offs",
               "ethics", "tags")


class Tag(_Record):
    """A tag with attributes."""

    _fields = ("name", "color", "exclusive", "cascade")

    def __str__(self):
        return str(self.name)


class Schedule(_Record):
    """When a pipeline should run. Deployments run when they are called: a pipeline that is given one is refused."""

    _fields = ("name", "cron_expression", "start_time", "end_time", "interval_second", "catchup", "run_once_start_time")


class CachePolicy(_Record):
    """What makes a step's result reusable. Deployments always run every step."""

    _fields = ("include_step_code", "include_step_parameters", "include_artifact_values", "include_artifact_ids",
               "file_dependencies", "source_dependencies", "cache_func", "expires_after")
