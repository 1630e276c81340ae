# SPDX-License-Identifier: Apache-2.0
"""Writers that need no pydantic give the JSON that Python's own encoder gives, however long the text is."""
import json

import pytest

from kourou import lite

TEXT = 'quote " backslash \\ line\nnul\x00 unit\x1f delete\x7f é € 😀 '
LENGTHS = [0, 1, lite.LONG - 1, lite.LONG, lite.LONG + 1, 10 * lite.LONG]


@pytest.mark.parametrize("length", LENGTHS)
def test_text_of_any_length(length):
    text = (TEXT * (length // len(TEXT) + 1))[:length]
    write = lite.tuple_writer(["text", "n"], [str, int])
    assert write((text, length)) == ('{"text":' + json.dumps(text, ensure_ascii=False) + f',"n":{length}}}').encode()


@pytest.mark.parametrize("length", [1, lite.LONG])
def test_text_that_utf8_cannot_say(length):
    with pytest.raises(UnicodeEncodeError):
        lite.tuple_writer(["text"], [str])(("\ud800" * length,))


def test_long_text_without_the_faster_encoder(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydantic_core", None)
    text = TEXT * lite.LONG
    assert lite.tuple_writer(["text"], [str])((text,)) == ('{"text":' + json.dumps(text, ensure_ascii=False) + "}").encode()
