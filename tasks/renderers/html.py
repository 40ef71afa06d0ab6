"""report.html: one self-contained page that opens without a network, and in which nothing runs but its own script."""

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tasks.renderers.charts.standalone import chart_style
from tasks.renderers.facts import (
    case_study,
    completions,
    costs,
    curation,
    earlier,
    interruptions,
    lineage,
    quality,
    serving,
    training,
    verdict,
)
from tasks.renderers.formats import words
from tasks.renderers.schema import Report
from tasks.renderers.text import visible

_FACTS = (case_study, completions, costs, curation, earlier, interruptions, lineage, quality, serving, training, verdict)


def render_html(report: Report, losses: Path) -> str:
    """Return the report as a page.

    The template escapes every text; what would be invisible in one is written out. Plots are markup of our own, which escapes
    the texts in it too. A policy in the page's head lets run only its own script, by the script's hash, and load nothing.

    Args:
        report: The content.
        losses: The student's training metrics, JSON Lines.
    """
    style, script = chart_style() + _file("page.css"), _file("page.js")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            losses=losses,
            style=Markup(style),
            script=Markup(script),
            policy="; ".join(
                (
                    "default-src 'none'",
                    f"style-src '{_digest(style)}'",
                    f"script-src '{_digest(script)}'",
                    "base-uri 'none'",
                    "form-action 'none'",
                )
            ),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tasks.renderers", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {module.__name__.rpartition(".")[2]: module for module in _FACTS}
    environment.filters |= {"words": words, "json": _json, "unbroken": _unbroken}
    return environment


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _unbroken(text: str) -> str:
    """Return a text in which no line ends between a number and its percent sign."""
    return text.replace(" %", "\u00a0%")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _file(name: str) -> str:
    return (files("tasks.renderers") / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
