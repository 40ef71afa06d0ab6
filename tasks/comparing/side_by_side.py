"""What the models said to the same test prompts, for people to read; personal data is blacked out."""

from itertools import zip_longest

from tasks.comparing.items import Items
from tasks.comparing.slices import prompt_text
from tasks.core.redaction import redact
from tasks.renderers.schema import ModelName, SideBySide
from tasks.task_types.scoring import primary_score

_SHOWN_CHARACTERS = 2_000


def show_side_by_side(items: Items, most: int) -> list[SideBySide]:
    """Return test prompts with what each model said, those first where the student loses most against the teacher.

    Args:
        items: All test items.
        most: How many are shown; every task type has its turn.
    """
    scores = [_scores(items, place) for place in range(len(items))]
    lost = [own.get("teacher", 0.0) - own.get("student", 0.0) for own in scores]
    by_task: dict[str, list[int]] = {}
    for place in sorted(range(len(items)), key=lambda place: -lost[place]):
        by_task.setdefault(items.prompts[place]["task"], []).append(place)
    in_turn = [place for turn in zip_longest(*by_task.values()) for place in turn if place is not None][:most]
    return [_shown(items, place, scores[place]) for place in sorted(in_turn, key=lambda place: -lost[place])]


def _scores(items: Items, place: int) -> dict[ModelName, float]:
    found: dict[ModelName, float] = {}
    for model, rows in items.rows.items():
        score = primary_score(rows[place])
        if score is not None:
            found[model] = score
    return found


def _shown(items: Items, place: int, scores: dict[ModelName, float]) -> SideBySide:
    prompt = items.prompts[place]
    return SideBySide(
        id=prompt["id"],
        task=prompt["task"],
        prompt=redact(prompt_text(prompt), _SHOWN_CHARACTERS),
        references=[redact(reference, _SHOWN_CHARACTERS) for reference in prompt["references"]],
        completions={model: redact(rows[place]["completion"], _SHOWN_CHARACTERS) for model, rows in items.rows.items()},
        scores=scores,
        tags={field: redact(value, _SHOWN_CHARACTERS) for field, value in prompt["tags"]},
    )
