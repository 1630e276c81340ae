# SPDX-License-Identifier: Apache-2.0
"""Texts with a format: outputs of these types say what they are in the output schema."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Text(str):
    media_type = "text/plain"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.plain_serializer_function_ser_schema(
                str.__str__, return_schema=core_schema.str_schema()))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        result = handler(schema)
        result["contentMediaType"] = cls.media_type
        return result


class HTMLString(_Text):
    """A page, or a part of one."""

    media_type = "text/html"


class MarkdownString(_Text):
    """Text in Markdown."""

    media_type = "text/markdown"


class CSVString(_Text):
    """A table as comma-separated values."""

    media_type = "text/csv"


class JSONString(_Text):
    """JSON in a string."""

    media_type = "application/json"
