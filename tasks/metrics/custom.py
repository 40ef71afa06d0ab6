"""Metrics of the user's own, named in a recipe by dotted path: ``package.module:function``.

A recipe may come from anybody who can fill in a form, so a path must not be able to name any function of any library. Only
a function that its module has marked with ``metric`` is ever called, and only a module whose text names this one is imported::

    from tasks.metrics.custom import metric


    @metric
    def politeness(answer: str, references: Sequence[str]) -> float:
        return float("please" in answer)
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import PathFinder
from math import isfinite
from pathlib import Path

from tasks.core.errors import DataError, SettingsError

AnswerMetric = Callable[[str, Sequence[str]], float]

PATH_PATTERN = r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*:[A-Za-z][A-Za-z0-9_]*"
_MARK = "@metric of tasks.metrics.custom"
_SHOWN_CHARACTERS = 80
_marked: list[AnswerMetric] = []


def metric(function: AnswerMetric) -> AnswerMetric:
    """Mark a function as a metric: it takes an answer and its references and returns a number in [0, 1], 1 is best."""
    _marked.append(function)
    return function


def load_metric(path: str) -> AnswerMetric:
    """Return the metric that a path names.

    Args:
        path: ``package.module:function``; the module must be installed, or lie in the folder that the flow is run in.

    Raises:
        SettingsError: If there is no such module, or no function of that name in it that is marked as a metric.
    """
    _find_source(path)
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name, None)
    except Exception as error:
        raise SettingsError(
            f"the module of evaluation.custom_metric = {path!r} cannot be imported: {error!r}; mend it"
        ) from error
    if found is None or not any(found is function for function in _marked):
        raise SettingsError(f"evaluation.custom_metric = {path!r} names no function that {module} marks with {_MARK}")

    def checked(answer: str, references: Sequence[str]) -> float:
        try:
            value = found(answer, references)
        except Exception as error:
            raise DataError(
                f"the metric {path} raised {error!r} for the answer {answer[:_SHOWN_CHARACTERS]!r}; mend the metric"
            ) from error
        if isinstance(value, bool | int | float) and isfinite(value) and 0 <= value <= 1:
            return float(value)
        raise DataError(
            f"the metric {path} returned {value!r} for the answer {answer[:_SHOWN_CHARACTERS]!r}, wanted a number from 0 to 1; "
            "mend the metric"
        )

    return checked


def source_digest(path: str) -> str:
    """Return the SHA-256 of the module's text: a metric that was changed is another metric.

    Raises:
        SettingsError: If there is no such module, or it marks nothing as a metric.
    """
    return hashlib.sha256(_find_source(path).read_bytes()).hexdigest()


def _find_source(path: str) -> Path:
    """Return the file of a path's module without importing anything, not even the packages it is in.

    Raises:
        SettingsError: If there is no such module, or it does not mention this one.
    """
    module = path.partition(":")[0]
    places: Sequence[str] | None = None
    spec, name = None, ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        places = None if spec is None else spec.submodule_search_locations
        if spec is None:
            break
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise SettingsError(
            f"there is no module {module!r} in Python for evaluation.custom_metric = {path!r}; install it where the flow runs, "
            "or put its folder on PYTHONPATH"
        )
    file = Path(spec.origin)
    if not re.search(r"\btasks\.metrics\.custom\b", file.read_text(encoding="utf-8", errors="replace")):
        raise SettingsError(f"evaluation.custom_metric = {path!r}: {file.name} marks no function with {_MARK}")
    return file
