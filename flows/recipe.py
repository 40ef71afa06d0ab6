"""Recipes: one ``DistillConfig`` as YAML, in one file or in several, with overrides from the command line.

A recipe is whole by itself. A part, such as those in ``deployments/recipes/students``, says only what it changes.
"""

import difflib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flows.config import DistillConfig
from flows.recipe_yaml import parse_yaml
from tasks.core.errors import SettingsError
from tasks.garbage import GarbageSettings
from tasks.report import ReportSettings

STORE = "POTSTILL_STORE"
DIRECTORY = "POTSTILL_DIRECTORY"
_MAX_RECIPE_BYTES = 1 << 20
_MAX_NAME = 63
_NO_NAME = re.compile(r"[^a-z0-9._-]")


def load_recipe(paths: Path | Sequence[Path], overrides: Sequence[str] = ()) -> DistillConfig:
    """Read a recipe, alone or with parts that change it.

    Args:
        paths: The YAML file, or several: a later one wins over those before it, field by field; lists are replaced whole. Each
            further file's name is appended to ``report.name``, unless it sets that itself.
        overrides: ``section.field=value`` each, which win over all files; the value is YAML and replaces what was there.

    Raises:
        SettingsError: If a file or an override is not valid; names the field, the value and what was expected.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    values = _composed(files)
    for override in overrides:
        values = _overridden(values, override)
    try:
        return DistillConfig.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {_message(problem)}, got {_shown(problem['input'])}"
            for problem in error.errors()
        )
        shown = " with ".join(str(file) for file in files)
        raise SettingsError(f"the recipe {shown} is not valid: {problems}. Mend the recipe or the --set options") from error


def read_values(path: Path) -> dict[str, Any]:
    """Return a file's YAML as plain values, not yet checked.

    Raises:
        SettingsError: If there is no such file, or it is not a YAML mapping.
    """
    if not path.is_file():
        raise SettingsError(f"there is no recipe {path}; the shipped ones are in deployments/recipes")
    if path.stat().st_size > _MAX_RECIPE_BYTES:
        raise SettingsError(f"the recipe {path} has more than {_MAX_RECIPE_BYTES} bytes; a recipe is a page of YAML")
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeError) as error:
        raise SettingsError(f"the recipe {path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"the recipe {path} is not a mapping of sections; see deployments/recipes/quickstart.yaml")
    return values


def deployment_parameters(recipe: str | list[str]) -> dict[str, Any]:
    """Return a recipe as a deployment's parameters: a build step of deployments/prefect.yaml.

    The environment variable ``POTSTILL_STORE``, where it is set, is the store of all deployments.

    Args:
        recipe: The recipe's file, and those of its parts after it: a list, or one text with spaces between them.

    Raises:
        SettingsError: If the recipe is not valid, before anything is deployed.
    """
    files = [Path(file) for file in (recipe.split() if isinstance(recipe, str) else recipe)]
    store = os.environ.get(STORE)
    return {"config": load_recipe(files, [f"store={store}"] if store else ()).model_dump(mode="json")}


def garbage_parameters() -> dict[str, Any]:
    """Return the parameters of the garbage collection: a build step of deployments/prefect.yaml.

    The store is the one of all deployments, ``POTSTILL_STORE``, or the one that recipes have by default. Nothing is dropped until
    ``dry_run`` is switched off in the UI's form or with ``--param``.
    """
    store = os.environ.get(STORE) or DistillConfig.model_fields["store"].default
    return {"settings": GarbageSettings(store=store).model_dump(mode="json")}


def worker_directory() -> dict[str, Any]:
    """Return the folder that workers start flow runs in: a build step of deployments/prefect.yaml.

    It is this one, unless the environment variable ``POTSTILL_DIRECTORY`` names another, as that of a container.
    """
    return {"directory": os.environ.get(DIRECTORY) or str(Path.cwd())}


def _composed(files: Sequence[Path]) -> dict[str, Any]:
    if not files:
        raise SettingsError("no recipe was given; name one of the files in deployments/recipes")
    values = read_values(files[0])
    for file in files[1:]:
        values = _merged(_named_after(values, file), read_values(file))
    return values


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return values with changes; mappings are merged. Nothing is changed in place: a YAML alias stands for one object twice."""
    merged = dict(values)
    for name, change in changes.items():
        known = values.get(name)
        merged[name] = _merged(known, change) if isinstance(known, dict) and isinstance(change, dict) else change
    return merged


def _named_after(values: dict[str, Any], part: Path) -> dict[str, Any]:
    """Return values whose report tells which part they are changed by."""
    report = values.get("report", {})
    if not isinstance(report, dict):
        return values  # refused later, with its place
    name = report.get("name", ReportSettings.model_fields["name"].default)
    longer = f"{name}-{_NO_NAME.sub('_', part.stem.lower())}"[:_MAX_NAME]
    return {**values, "report": {**report, "name": longer}}


def _overridden(values: dict[str, Any], override: str) -> dict[str, Any]:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise SettingsError(f"--set {override!r} is not of the form section.field=value")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {override!r}: the value is not YAML: {error}") from error

    def replaced(inside: dict[str, Any], section: str, *deeper: str) -> dict[str, Any]:
        if not deeper:
            return {**inside, section: value}
        inner = inside.get(section, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"--set {override!r}: {section!r} is a value, not a section")
        return {**inside, section: replaced(inner, *deeper)}

    return replaced(values, *name.split("."))


def _message(problem: ErrorDetails) -> str:
    """Return what is wrong; of a setting that there is not, also what may have been meant."""
    if problem["type"] != "extra_forbidden":
        return problem["msg"]
    *sections, name = map(str, problem["loc"])
    known: dict[str, Any] = DistillConfig.model_json_schema()
    definitions, fields = known["$defs"], known["properties"]
    for section in sections:
        reference = re.search(r"#/\$defs/(\w+)", json.dumps(fields.get(section, {})))
        fields = definitions[reference[1]].get("properties", {}) if reference else {}
    near = difflib.get_close_matches(name, fields, n=1)
    return f"there is no such setting{f' (did you mean {near[0]}?)' if near else ''}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
