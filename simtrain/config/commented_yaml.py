"""YAML of a configuration with a comment beside its keys."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from simtrain.config.yaml_text import dump_plain

_WIDTH = 120
_COMMENT = 100  # of a comment that stands above its key


def commented_yaml(tree: Mapping[str, Any], comments: Mapping[str, str], *, heading: str) -> str:
    """Plain values as YAML, sections as blocks and lists in one line.

    Args:
        tree: Keys and values; a mapping that is not empty is a section.
        comments: Key such as `encoder.image_size` -> what stands beside it, or above it where the line would be too
            long.
        heading: Comment at the top, in lines of their own.
    """
    lines = [f"# {line}" for line in heading.splitlines()]
    lines += _lines(tree, comments, prefix="", indent="")
    return "\n".join(lines) + "\n"


def _lines(tree: Mapping[str, Any], comments: Mapping[str, str], *, prefix: str, indent: str) -> Iterator[str]:
    sections_before = False
    for name, value in tree.items():
        key, section = f"{prefix}{name}", isinstance(value, Mapping) and bool(value)
        if not indent and (section or sections_before):
            yield ""
        sections_before = section
        head = f"{indent}{_flow(name)}:" if section else f"{indent}{_flow(name)}: {_flow(value)}"
        comment = comments.get(key)
        if comment is None:
            yield head
        elif len(head) + len(comment) + 3 <= _WIDTH:
            yield f"{head} # {comment}"
        else:
            yield from (f"{indent}# {line}" for line in textwrap.wrap(comment, _COMMENT))
            yield head
        if section:
            yield from _lines(value, comments, prefix=f"{key}.", indent=f"{indent}  ")


def _flow(value: Any) -> str:
    """A value in one line, as `parse_yaml` reads it."""
    node = yaml.compose(dump_plain([value]))
    assert isinstance(node, yaml.SequenceNode)
    for part in _all(node.value[0]):
        if isinstance(part, yaml.CollectionNode):
            part.flow_style = True
        elif isinstance(part, yaml.ScalarNode) and "\n" in part.value:
            part.style = '"'
    text = yaml.serialize(node.value[0], allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _all(node: yaml.Node) -> Iterator[yaml.Node]:
    """A node and all that it holds."""
    yield node
    if isinstance(node, yaml.MappingNode):
        yield from (one for pair in node.value for part in pair for one in _all(part))
    elif isinstance(node, yaml.SequenceNode):
        yield from (one for part in node.value for one in _all(part))
