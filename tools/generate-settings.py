#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what follows from the settings tables of the program: generate-settings.py [--check] [path/to/kourou]

- python/kourou/_settings_classes.py: the classes that authors of pipelines write
- python/kourou/config.schema.json: the JSON schema of configuration files
- docs/settings.md: the page

With --check nothing is written; files that are not as they would be are named, and the exit status is 1.
"""
import json
import pathlib
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH = 120

CLASSES = {
    "build_config": ("DockerBuildConfig", "Options of an image build."),
    "docker": ("DockerSettings", "How the image of a pipeline is made. The older names of these settings are accepted. "
                                 "Cannot be changed afterwards."),
    "resources": ("ResourceSettings", "What a deployment may use."),
    "cors": ("CORSConfig", "Which other sites may call the deployment from a browser. Without one, a deployment on this machine "
                           "that has no key answers to none; with one, its allow_origins count, also when they are the usual ones."),
    "secure_headers": ("SecureHeadersConfig", "Security headers of every answer: True for the usual value, False for none, or the "
                                              "value. Each field is named after its header."),
    "endpoint": ("EndpointSpec", "An endpoint of your own."),
    "middleware": ("MiddlewareSpec", "A middleware of your own."),
    "extension": ("AppExtensionSpec", "What is called with ``app_runner`` when a worker starts."),
    "deployment": ("DeploymentSettings", "The HTTP service of a deployed pipeline."),
}
DEPLOYERS = {
    "local": ("LocalDeployerSettings", "Deployments as processes of this machine."),
    "docker": ("DockerDeployerSettings", "Deployments as containers of this machine's Docker."),
    "huggingface": ("HuggingFaceDeployerSettings", "Deployments as Hugging Face Spaces."),
}
# Choices that have an enumeration of their own, which is taken as well as the word; True: the value is one afterwards.
ENUMS = {
    ("docker", "python_package_installer"): ("PythonPackageInstaller", "What installs Python packages.", False),
    ("endpoint", "method"): ("EndpointMethod", "HTTP methods of custom endpoints.", True),
}
# Words of which several may be given.
FLAGS = {
    ("deployment", "include_default_endpoints"): (
        "DeploymentDefaultEndpoints", "Endpoints that a deployment has by itself.",
        {"DOC": ("docs", "redoc"), "API": ("invoke", "health", "info", "metrics", "stream_invoke")}),
    ("deployment", "include_default_middleware"): (
        "DeploymentDefaultMiddleware", "What touches every answer of a deployment.", {}),
}
# Words that are usual in small letters too.
ANY_CASE = {("deployment", "log_level"), ("endpoint", "method")}
MORE = {
    "DockerSettings": '''
    _frozen = True

    def _check_all(self) -> None:
        if self.skip_build and not self.parent_image:
            raise SettingsError("DockerSettings: skip_build=True needs a parent_image")
''',
    "CORSConfig": '''
    _given_always = ("allow_origins",)
''',
}


# -- the Python classes -------------------------------------------------------------------------

def words_of(table, row):
    known = list(row["choices"])
    if (table, row["name"]) in ANY_CASE:
        known += [word.lower() for word in known]
    return ", ".join(json.dumps(word) for word in known)


def plain_kind(table, row):
    """The annotation of a row, without Optional."""
    forms, name, inner = row["forms"], row["name"], CLASSES.get(row["map"])
    if "any" in forms:
        return "Any"
    if "words" in forms:
        return "Union[int, str, List[Union[int, str]]]"
    if "source" in forms:
        return "Source"
    if "ports" in forms:
        return "Tuple[int, int]"
    if "maps" in forms:
        return f"List[{inner[0] if inner else 'Dict[str, Any]'}]"
    if forms:
        kinds = [{"boolean": "bool", "string": "str", "integer": "int", "strings": "List[str]"}[form] for form in forms]
        return f"Union[{', '.join(kinds)}]" if len(kinds) > 1 else kinds[0]
    if row["type"] == "choice":
        literal = f"Literal[{words_of(table, row)}]"
        if (table, name) in ENUMS:
            enum, _, kept = ENUMS[table, name]
            return f"Union[{enum}, {literal}]" if kept else f"Union[{literal}, {enum}]"
        return literal
    return {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "list": "List[str]",
            "map": "Dict[str, str]", "object": inner[0] if inner else "Dict[str, Any]"}[row["type"]]


def field(table, row):
    kind, default = plain_kind(table, row), row["default"]
    if row["required"]:
        return f"    {row['name']}: {kind}"
    if row["filled"]:
        value = f"{kind}()"
    elif (table, row["name"]) in FLAGS and default == row["choices"]:
        value = f"{FLAGS[table, row['name']][0]}.ALL"
    elif "ports" in row["forms"]:
        value = repr(tuple(default))
    else:
        value = json.dumps(default, ensure_ascii=False) if isinstance(default, str) else repr(default)
    if default is None and kind != "Any":
        kind = f"{kind[:-1]}, None]" if kind.startswith("Union[") else f"Optional[{kind}]"
    note = "  # noqa: S104 - inside a container" if default == "0.0.0.0" else ""
    return folded(f"    {row['name']}: {kind} = {value}{note}")


def folded(line):
    """A long line, broken inside of its first bracket."""
    if len(line) <= WIDTH:
        return line
    return textwrap.fill(line, WIDTH, subsequent_indent=" " * (line.index("[") + 1), break_long_words=False)


def check(row):
    if row["positive"]:
        return "positive"
    if row["min"] is not None:
        return f"integer({row['min']})" if row["max"] is None else f"integer({row['min']}, {row['max']})"
    return None


def allowed(row):
    """The range of a row in words; choices stand in the type."""
    if row["positive"]:
        return "above 0"
    if row["min"] is not None:
        return f"{row['min']} or more" if row["max"] is None else f"{row['min']} to {row['max']}"
    return ""


def described(row):
    said = [word for word in (allowed(row), f"with the {row['flavor']} deployer only" if row["flavor"] else "") if word]
    text = f"{row['name']}: {row['help']}{' (' + '; '.join(said) + ')' if said else ''}."
    return text + (f" No effect: {row['ignored']}." if row["ignored"] else "")


def filled(text, indent, hanging=0):
    return textwrap.fill(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + hanging),
                         break_long_words=False, break_on_hyphens=False)


def class_of(name, base, about, table, rows):
    elsewhere = [row for row in rows if row["component_only"]]
    rows = [row for row in rows if not row["component_only"]]
    yield f"class {name}({base}):"
    yield filled(f'"""{about}', 4) + "\n"
    yield from (filled(described(row), 4, 4) for row in rows)
    yield '    """\n'
    yield from (field(table, row) for row in rows)
    checks = [f'        "{row["name"]}": {check(row)},' for row in rows if check(row)]
    if checks:
        yield "\n    _checks = {\n" + "\n".join(checks) + "\n    }"
    hidden = [row["name"] for row in rows if row["sensitive"]]
    if hidden:
        yield f"    _sensitive = frozenset({hidden!r})".replace("'", '"')
    if elsewhere:
        yield "\n    _not_here = {"
        for row in elsewhere:
            thing = row["name"].replace("_name", "")
            yield (f'        "{row["name"]}": "the {thing} belongs to the deployer: kourou deployer register NAME "\n'
                   f'        "--flavor=huggingface --secret_name=SECRET",')
        yield "    }"
    if name in MORE:
        yield MORE[name].rstrip()
    yield "\n"


def enums(tables):
    for (table, name), (enum, about, _) in ENUMS.items():
        row = next(row for row in tables[table]["rows"] if row["name"] == name)
        yield f'\n@register_enum\nclass {enum}(str, Enum):\n    """{about}"""\n'
        yield from (f'    {word.upper()} = "{word}"' for word in row["choices"])
        yield ""
    for (table, name), (flag, about, groups) in FLAGS.items():
        row = next(row for row in tables[table]["rows"] if row["name"] == name)
        bits = {word: 1 << at for at, word in enumerate(row["choices"])}
        yield f'\nclass {flag}(IntFlag):\n    """{about}"""\n\n    NONE = 0'
        yield from (f"    {word.upper()} = {bit}" for word, bit in bits.items())
        yield from (f"    {group} = {sum(bits[word] for word in words)}" for group, words in groups.items())
        yield f"    ALL = {sum(bits.values())}\n"


def python(tables):
    yield "# SPDX-License-Identifier: Apache-2.0"
    yield "# Made by tools/generate-settings.py from the tables of the program (src/core): change those."
    yield '"""The settings classes."""\n\nfrom __future__ import annotations\n'
    yield "from enum import Enum, IntFlag\n"
    yield "from ._settings import Settings, integer, positive, register_enum\nfrom .errors import SettingsError\n"
    yield "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from typing import Any, Dict, List, Literal, Optional, Tuple, Union\n\n    from ._settings import Source\n"
    yield from enums(tables)
    flavors = {name: tables[f"deployer.{name}"]["rows"] for name in DEPLOYERS}
    first = next(iter(flavors.values()))
    common = [row for row in first if all(row in rows for rows in flavors.values())]
    yield ""
    yield from class_of("BaseDeployerSettings", "Settings", "What all deployers understand.", "deployer", common)
    for flavor, (name, about) in DEPLOYERS.items():
        rows = [row for row in flavors[flavor] if row not in common]
        yield from class_of(name, "BaseDeployerSettings", about, f"deployer.{flavor}", rows)
    for table, (name, about) in CLASSES.items():
        yield from class_of(name, "Settings", about, table, tables[table]["rows"])
    yield "GENERAL_KEYS = {" + ", ".join(f'"{key}": {CLASSES[key][0]}' for key in ("docker", "deployment", "resources")) + "}"
    yield "FLAVORS = {" + ", ".join(f'"{flavor}": {name}' for flavor, (name, _) in DEPLOYERS.items()) + "}"


# -- the JSON schema of configuration files -----------------------------------------------------

# ${NAME} of the environment and {{secret.key}} are filled in when the file is used.
PLACEHOLDER = {"type": "string", "pattern": r"\$\{[A-Za-z0-9_]+\}|^\{\{[^.]+\..+\}\}$"}


def texts():
    return {"type": "array", "items": {"type": "string"}}


def value_schemas(table, row):
    """What a value of the row may be; null, which stands for the default, and placeholders come on top."""
    inner = {"$ref": f"#/definitions/{row['map']}"} if row["map"] else {"type": "object"}
    forms = {"boolean": {"type": "boolean"}, "string": {"type": "string"}, "integer": {"type": "integer"}, "strings": texts(),
             "source": {"type": "string"}, "maps": {"type": "array", "items": inner}, "any": {},
             "ports": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}, "minItems": 2, "maxItems": 2}}
    if "words" in row["forms"]:
        return [{"type": "array", "items": {"enum": ["all", "none", *row["choices"]]}}, {"type": "string"}, {"type": "integer"}]
    if row["forms"]:
        return [forms[form] for form in row["forms"]]
    if row["type"] == "choice":
        words = row["choices"]
        return [{"enum": words + [word.lower() for word in words] if (table, row["name"]) in ANY_CASE else words}]
    if row["type"] == "integer":
        bounds = {"minimum": row["min"], "maximum": row["max"]}
        return [{"type": "integer", **{key: bound for key, bound in bounds.items() if bound is not None}}]
    if row["type"] == "number":
        return [{"type": "number", **({"exclusiveMinimum": 0} if row["positive"] else {})}]
    if row["type"] == "list":
        return [texts(), {"type": "string"}]
    if row["type"] == "map":
        return [{"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}]
    return [inner if row["type"] == "object" else {"type": row["type"]}]


def property_schema(table, row):
    options = value_schemas(table, row)
    if not any(option in ({}, {"type": "string"}) for option in options):
        options.append(PLACEHOLDER)
    if not row["required"] and {} not in options:
        options.append({"type": "null"})
    said = {"description": described(row).partition(": ")[2]}
    if row["default"] is not None:
        said["default"] = row["default"]
    if row["ignored"]:
        said["deprecationMessage"] = f"No effect: {row['ignored']}."
    return {**said, **(options[0] if len(options) == 1 else {"anyOf": options})}


def table_schema(name, rows, about):
    required = [row["name"] for row in rows if row["required"]]
    return {"description": about, "type": ["object", "null"] if not required else "object", "additionalProperties": False,
            "properties": {row["name"]: property_schema(name, row) for row in rows if not row["component_only"]},
            **({"required": required} if required else {})}


def options_of(kinds, names, sentences):
    """Options besides the settings, as kourou/options.py names them."""
    return {name: {**({"description": sentences[name]} if name in sentences else {}), **kinds.get(name, {})} for name in sorted(names)}


OPTION_KINDS = {
    **dict.fromkeys(("parameters", "extra", "substitutions", "on_init_kwargs"), {"type": ["object", "null"]}),
    **dict.fromkeys(("on_init", "on_cleanup", "on_success", "on_failure", "name"), {"type": ["string", "null"]}),
    **dict.fromkeys(("secrets", "tags", "depends_on"), {"type": ["array", "null"]}),
    "environment": {"type": ["object", "null"], "additionalProperties": {"type": ["string", "number", "null"]}},
    "run_name": {"type": ["string", "null"], "minLength": 1, "maxLength": 255},
    "retry": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}, {
        "type": "object", "additionalProperties": False, "properties": {
            "max_retries": {"type": "integer", "minimum": 0}, "delay": {"type": "number", "minimum": 0},
            "backoff": {"type": "number", "minimum": 0}}}]},
}
SENTENCES = {
    "parameters": "Values of parameters of the pipeline, or of the step.",
    "environment": "Environment variables of the deployment.",
    "secrets": "Secrets whose keys become environment variables of the deployment.",
    "settings": "How the pipeline is built, served and deployed.",
    "steps": "Options of single steps, by name.",
    "run_name": "Name of runs; {date} and {time} are filled in.",
    "name": "Name of the pipeline.",
    "retry": "How often a failed step is tried again.",
}


def file_schema(tables):
    sys.path.insert(0, str(ROOT / "python"))
    sys.dont_write_bytecode = True
    from kourou import options as opt

    definitions = {name: table_schema(name, table["rows"], CLASSES[name][1] if name in CLASSES else table["title"])
                   for name, table in tables.items() if table["kind"] == "map"}
    keys = {name: table_schema(name, tables[name]["rows"], CLASSES[name][1]) for name in ("docker", "deployment", "resources")}
    every = {}
    for flavor, (_, about) in DEPLOYERS.items():
        keys[f"deployer.{flavor}"] = table_schema(f"deployer.{flavor}", tables[f"deployer.{flavor}"]["rows"], about)
        for name in keys[f"deployer.{flavor}"]["properties"]:
            every.setdefault(name, {"$ref": f"#/properties/settings/properties/deployer.{flavor}/properties/{name}"})
    keys["deployer"] = {"description": "Settings of whatever deployer is active.", "type": ["object", "null"],
                        "additionalProperties": False, "properties": every}
    settings = {"type": ["object", "null"], "properties": keys, "additionalProperties": False, "patternProperties": {
        f"^({'|'.join(sorted(opt.ELSEWHERE))})(\\.|$)": {"description": "No effect: it has no part in a deployment."}}}
    absent = set(opt.ABSENT)
    kinds = {**OPTION_KINDS, "settings": settings}
    step = {"type": ["object", "null"], "additionalProperties": False,
            "properties": options_of({**OPTION_KINDS, "settings": {"type": ["object", "null"]}}, opt.STEP_KEYS - absent, SENTENCES)}
    kinds["steps"] = kinds["step_configurations"] = {"type": ["object", "null"], "additionalProperties": step}
    for name in opt.PIPELINE | opt.STEP_KEYS:
        if name.startswith("enable_"):
            kinds.setdefault(name, {"type": ["boolean", "null"]})
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Configuration of a Kourou pipeline",
            "description": "The file of `kourou pipeline deploy --config FILE` and `with_options(config_path=FILE)`.",
            "type": "object", "additionalProperties": False,
            "properties": options_of(kinds, (opt.PIPELINE | opt.FILE) - absent, SENTENCES), "definitions": definitions}


# -- the page -----------------------------------------------------------------------------------

def cell(value):
    return "" if value is None else str(value).replace("|", "\\|")


def page_rows(rows):
    yield "| setting | type | default | meaning | read by |\n|---|---|---|---|---|"
    for row in rows:
        default = "" if row["default"] is None else f"`{json.dumps(row['default'])}`"
        marks = [word for word in ("required", "sensitive") if row[word]]
        if row["component_only"]:
            marks.append("of the component only")
        kind = row["type"]
        if row["forms"]:
            kind = " or ".join({"strings": "list of strings", "words": "list of words", "maps": "list of maps", "ports": "two ports",
                                "source": "function or its dotted name"}.get(form, form) for form in row["forms"])
        if row["map"]:
            kind += f" ({row['map']})"
        if row["type"] == "choice":
            kind = ", ".join(f"`{word}`" for word in row["choices"])
        said = [allowed(row)] * bool(allowed(row)) + marks
        meaning = row["help"] + (f" (no effect: {row['ignored']})" if row["ignored"] else "")
        if row["flavor"]:
            meaning += f" (with the {row['flavor']} deployer only)"
        yield (f"| `{row['name']}` | {cell(kind + (', ' + ', '.join(said) if said else ''))} | {cell(default)} | {cell(meaning)} | "
               f"{cell(row['reader'] and '`' + row['reader'] + '`')} |")


def page(tables):
    yield "# Settings\n"
    yield "Made by `tools/generate-settings.py` from the program's own tables, which `kourou schema` shows. Rows of `docker`, `deployment`,"
    yield "`resources` and of deployers are settings in code and in configuration files (`settings: deployer: ...`); rows of components, deployers"
    yield "among them, are options of `register` and `update` (`--space_hardware=t4-small`). Who sets a row without an effect is told so. Each row"
    yield "names the file that reads it, below `src` or `python`. A value may be a reference to a secret: `{{secret_name.key}}`.\n"
    for name, table in tables.items():
        if table["kind"] == "settings":
            yield f"## `{name}`\n\n{CLASSES[name][1]}\n"
        elif table["kind"] == "map":
            yield f"## Maps `{name}`\n\n{CLASSES[name][1] if name in CLASSES else 'A volume of a Space.'}\n"
        else:
            yield f"## {table['kind'].replace('_', '-')} `{table['flavor']}`\n\n{table['about']}.\n"
        if not table["rows"]:
            yield "No settings.\n"
            continue
        yield from page_rows(table["rows"])
        yield ""


# -- the program --------------------------------------------------------------------------------

def main():
    words = sys.argv[1:]
    checking = "--check" in words
    program = next((word for word in words if word != "--check"), str(ROOT / "build" / "kourou"))
    done = subprocess.run([program, "schema", "--output", "json"], capture_output=True, text=True, check=True)
    tables = {table["table"]: table for table in json.loads(done.stdout)["tables"]}
    made = {
        "python/kourou/_settings_classes.py": "\n".join(python(tables)).rstrip() + "\n",
        "python/kourou/config.schema.json": json.dumps(file_schema(tables), indent=1, ensure_ascii=False) + "\n",
        "docs/settings.md": "\n".join(page(tables)).rstrip() + "\n",
    }
    stale = [name for name, text in made.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != text]
    if checking:
        for name in stale:
            print(f"{name} is not what the settings tables say: run tools/generate-settings.py", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(made[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
