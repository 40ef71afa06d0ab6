"""The YAML of recipes and overrides, in which only true and false are booleans, as in YAML 1.2.

YAML 1.1, which PyYAML reads, takes ``off``, ``on``, ``yes`` and ``no`` for booleans too; but off is a filter's mode, and yes and
no are labels. Where a boolean is wanted, settings understand these words all the same.
"""

import re
from typing import Any

import yaml

_BOOLEAN = "tag:yaml.org,2002:bool"


class _Loader(yaml.SafeLoader):
    """Values and nothing else, whatever their tags say."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def parse_yaml(text: str) -> Any:
    """Return the value that a text of YAML says.

    Raises:
        yaml.YAMLError: If it is none.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
