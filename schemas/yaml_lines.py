"""YAML with line numbers, as a person who writes an agreement expects it: only `true` and `false` are
booleans, a date stays the text that was written, and a key that stands twice is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

Lines = Mapping[tuple[str | int, ...], int]
"""The line of each place, as keys and indexes from the top."""


class YamlInvalid(ValueError):  # noqa: N818 - what is wrong, in the words of the rules
    """A text that is not YAML, or uses more of YAML than is taken here."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


class _CoreLoader(yaml.SafeLoader):
    """YAML 1.2's core types: `no` is a word, `12:30` is no number and `2026-01-01` is text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first)


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))  # 010 is ten: nobody writes octal in an agreement


_CoreLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def load(text: str) -> tuple[object, Lines]:
    """The data of a YAML text and the line of every place in it; YamlInvalid."""
    try:
        loader = _CoreLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, {(): 1}
        lines: dict[tuple[str | int, ...], int] = {}
        _walk(node, (), lines)
        return loader.construct_document(node), lines
    except YamlInvalid:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlInvalid(mark.line + 1 if mark else 1, error.problem or "not YAML") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlInvalid(1, str(error).splitlines()[0]) from None


def _walk(node: yaml.Node, place: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]) -> None:
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*place, index), lines)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise YamlInvalid(key.start_mark.line + 1, f"`{name}` stands twice")
            seen.add(name)
            _walk(value, (*place, name), lines)
            lines[(*place, name)] = key.start_mark.line + 1


def line_of(lines: Lines, place: tuple[str | int, ...]) -> int:
    """The line of a place, or of the nearest place around it."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)
