"""Recipes: one ``DistillConfig`` as a YAML file, with overrides from the command line."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flows.config import DistillConfig
from tasks.core.errors import SettingsError

_MAX_RECIPE_BYTES = 1 << 20


def load_recipe(path: Path, overrides: list[str] | None = None) -> DistillConfig:
    """Read a recipe.

    Args:
        path: The YAML file.
        overrides: ``section.field=value`` each; the value is YAML.

    Raises:
        SettingsError: If the file or an override is not valid; names the field, the value and what was expected.
    """
    values = read_values(path)
    for override in overrides or []:
        _override(values, override)
    try:
        return DistillConfig.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}, got {_shown(problem['input'])}"
            for problem in error.errors()
        )
        raise SettingsError(f"the recipe {path} is not valid: {problems}. Mend the recipe or the --set options") from error


def read_values(path: Path) -> dict[str, Any]:
    """Return a recipe's YAML as plain values, not yet checked.

    Raises:
        SettingsError: If there is no such file, or it is not a YAML mapping.
    """
    if not path.is_file():
        raise SettingsError(f"there is no recipe {path}; the shipped ones are in deployments/recipes")
    if path.stat().st_size > _MAX_RECIPE_BYTES:
        raise SettingsError(f"the recipe {path} has more than {_MAX_RECIPE_BYTES} bytes; a recipe is a page of YAML")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeError) as error:
        raise SettingsError(f"the recipe {path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"the recipe {path} is not a mapping of sections; see deployments/recipes/quickstart.yaml")
    return values


def deployment_parameters(recipe: str) -> dict[str, Any]:
    """Return a recipe as a deployment's parameters, and the project's folder: a build step of deployments/prefect.yaml.

    Raises:
        SettingsError: If the recipe is not valid, before anything is deployed.
    """
    return {"config": load_recipe(Path(recipe)).model_dump(mode="json"), "directory": str(Path.cwd())}


def _override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise SettingsError(f"--set {override!r} is not of the form section.field=value")
    *sections, field = name.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"--set {override!r}: {section!r} is a value, not a section")
        values = inner
    values[field] = yaml.safe_load(text)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
