"""How answers are judged; light, so that the flow's form can show it."""

from typing import Any, Literal

from pydantic import Field

from tasks.core.section import Section
from tasks.generating.settings import GenerationsSettings
from tasks.teachers.settings import StructuredOutput

SCALE = (1, 2, 3, 4, 5)
SIDES = ("A", "B")
Verdicts = tuple[int, ...] | tuple[str, ...]


class ScoringSettings(Section):
    """How single answers are scored, from 1 to 5."""

    form: Literal["json", "choice"] = "json"
    """json: the judge writes a short reason and then its verdict, as JSON; choice: the verdict alone, which is quicker, and which
    of endpoints only vLLM's server can be held to."""

    rubrics: dict[str, str] = Field(default={})
    """What the judge looks at, by task type, as it continues the sentence "Judge ..."; task types without one have a default:
    helpfulness for CONVERSATION, faithfulness for SUMMARIZATION, correctness for the others."""

    references: bool = True
    """Show the judge the prompt's references, where it has some."""


class PairingSettings(ScoringSettings):
    """How the answers of two models are compared."""

    tasks: tuple[str, ...] = ("CONVERSATION",)
    """Task types whose test items are judged."""

    baseline: bool = True
    """Compare the student with the baseline too, which tells what the training was worth; it doubles what the judge is asked."""


def held_to_form(generations: GenerationsSettings, settings: ScoringSettings, verdicts: Verdicts) -> GenerationsSettings:
    """Return how a judge answers: as it is set, and in the form that its verdicts are read from.

    Args:
        generations: How the judge answers otherwise.
        settings: With a reason or without.
        verdicts: All that may be said, ``SCALE`` or ``SIDES``.
    """
    form = {"structured_output": _form(settings.form, verdicts)}
    return generations.model_copy(update={"sampling": generations.sampling.model_copy(update=form)})


def _form(form: Literal["json", "choice"], verdicts: Verdicts) -> StructuredOutput:
    if form == "choice":
        return StructuredOutput(choice=tuple(str(verdict) for verdict in verdicts))
    kind = "integer" if isinstance(verdicts[0], int) else "string"
    # In this order: a verdict after its reason is better founded than a reason after its verdict (Wei et al. 2022).
    fields: dict[str, Any] = {"reason": {"type": "string"}, "verdict": {"type": kind, "enum": list(verdicts)}}
    return StructuredOutput(
        json_schema={"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    )
