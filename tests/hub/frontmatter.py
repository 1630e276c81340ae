# SPDX-License-Identifier: Apache-2.0
"""The YAML block at the top of a Space's README.md: reading and checking."""

import re

import yaml

COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
SDKS = ("gradio", "docker", "static")
HEADER_NAMES = ("cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy")
DEFAULT_STARTUP_SECONDS = 1800


def parse(text):
    """The front matter as a dict, or None when there is none or it is not a mapping."""
    found = re.match(r"---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|\Z)", text, re.S)
    if not found:
        return None
    try:
        value = yaml.safe_load(found.group(1))
    except yaml.YAMLError:
        return None
    return jsonable(value) if isinstance(value, dict) else None


def jsonable(value):
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _one_emoji(text):
    return isinstance(text, str) and 0 < len(text) <= 12 and not any(char.isascii() and char.isalpha() for char in text)


def check(text):
    """(errors, warnings) of a README, as lists of sentences."""
    if not text.startswith("---"):
        return [], ["empty or missing yaml metadata in repo card"]
    data = parse(text)
    if data is None:
        return ["Invalid YAML metadata in README.md"], []
    return [problem for problem in _problems(data) if problem], []


def _problems(data):
    for name in ("colorFrom", "colorTo"):
        if name in data and data[name] not in COLOURS:
            yield f'"{name}" must be one of [{", ".join(COLOURS)}]'
    if "emoji" in data and not _one_emoji(data["emoji"]):
        yield '"emoji" fails to match the required pattern: /\\p{Extended_Pictographic}/u'
    if "sdk" in data and data["sdk"] not in SDKS:
        yield f'"sdk" must be one of [{", ".join(SDKS)}]'
    if "short_description" in data and len(str(data["short_description"])) > 60:
        yield '"short_description" length must be less than or equal to 60 characters long'
    port = data.get("app_port", 7860)
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        yield '"app_port" must be a valid port'
    for name in ("pinned", "fullWidth", "disable_embedding", "hf_oauth"):
        if name in data and not isinstance(data[name], bool):
            yield f'"{name}" must be a boolean'
    if "title" in data and not isinstance(data["title"], str):
        yield '"title" must be a string'
    if "tags" in data and not (isinstance(data["tags"], list) and all(isinstance(tag, str) for tag in data["tags"])):
        yield '"tags" must be an array'
    if "base_path" in data and not str(data["base_path"]).startswith("/"):
        yield '"base_path" must start with /'
    if "startup_duration_timeout" in data and seconds(data["startup_duration_timeout"]) is None:
        yield '"startup_duration_timeout" must be a duration, such as 30m or 1h'
    minutes = data.get("hf_oauth_expiration_minutes", 480)
    if not isinstance(minutes, int) or not 0 < minutes <= 43200:
        yield '"hf_oauth_expiration_minutes" must be less than or equal to 43200'
    headers = data.get("custom_headers") or {}
    if not isinstance(headers, dict) or any(name not in HEADER_NAMES for name in headers):
        yield f'"custom_headers" allows only [{", ".join(HEADER_NAMES)}]'


def seconds(duration):
    """`30m`, `1h`, `90s`, `1h 30m` in seconds; None when it is no duration."""
    found = re.findall(r"(\d+(?:\.\d+)?)\s*(h|m|s)\w*", str(duration).strip())
    if not found:
        return None
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in found)


def startup_seconds(data):
    return seconds((data or {}).get("startup_duration_timeout", "30m")) or DEFAULT_STARTUP_SECONDS
