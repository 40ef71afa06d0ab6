"""What the licences of teacher, student and judge ask of a release, and a stop where the terms of one forbid the whole plan.

A reminder of what to read, not legal advice: ``licences.yaml`` knows models by their names and sums up their terms in a few
sentences; a name proves nothing, and terms change. Where no name is known, a model's own files are asked; where they are silent,
the licence stays unknown, and the conditions of a release say so.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from tasks.core.errors import SettingsError
from tasks.preflight_checks.licences import Licence, OutputsMayTrain, licence_table
from tasks.preflight_checks.model_names import card_licences, name_in_config, spelled_names

UNKNOWN = "unknown"


class Terms(BaseModel):
    """The terms of one model, as far as they are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """What was looked up: a source, or an endpoint's id of a model."""
    licence: str = UNKNOWN
    """Id of the licence in the table, or "unknown"."""
    name: str = "unknown licence"
    """What people call the licence."""
    url: str | None = None
    """Where its text is; None where it is unknown."""
    outputs_may_train: OutputsMayTrain = "unknown"
    """Whether the model's outputs may train another model."""
    forbids: str | None = None
    """What it forbids, where outputs may not train another model."""
    except_students_of: tuple[str, ...] = ()
    """Licences of students that the ban does not cover."""
    conditions: tuple[str, ...] = ()
    """What a release must keep when this model is the teacher."""
    student_conditions: tuple[str, ...] = ()
    """What a release must keep when the student's weights come from this model."""


def find_terms(source: str, folder: Path | None = None, endpoint_url: str | None = None) -> Terms:
    """Look up a model's terms.

    Args:
        source: Hub id, local path or ``package:name/file`` of a model, or an endpoint's id of it.
        folder: Where the weights lie on this machine, if they do; asked when the source's name is not known.
        endpoint_url: Base URL of the endpoint that runs the model, if one does. An owner's own endpoint decides alone; at all
            others, this machine's included, the model's id decides.

    Returns:
        Its terms; ``licence`` is "unknown" when nothing is known of it.
    """
    host = _host(endpoint_url) if endpoint_url else ""
    if (owner := _by_host(host, shared=False)) is not None:
        return _terms(source, owner)
    shared = _by_host(host, shared=True)
    licence = _by_name(source)
    if licence is None and shared is not None:
        return _terms(source, shared)
    if licence is None and folder is not None:
        tags = card_licences(folder / "README.md")
        licence = _by_name(name_in_config(folder / "config.json")) or _by_tag(tags)
        if licence is None and tags:
            return Terms(model=source, name=f"{tags[-1]}, by its model card")
    terms = Terms(model=source) if licence is None else _terms(source, licence)
    if shared is not None and shared is not licence:
        terms = terms.model_copy(update={"conditions": terms.conditions + shared.conditions})
    return terms


def check_terms(teacher: Terms, student: Terms, acknowledge_terms: bool) -> list[str]:
    """Stop a run whose teacher's terms forbid it.

    Args:
        teacher: Terms of the model whose answers are trained on.
        student: Terms of the model that is trained.
        acknowledge_terms: Whether somebody says that they may do so all the same; the ban is then a condition to keep.

    Returns:
        What a release of the student must keep, each once: the teacher's conditions, then the student's.

    Raises:
        SettingsError: If the teacher's outputs may not train this student, and nobody acknowledged it.
    """
    banned = _forbids(teacher, student)
    if banned and not acknowledge_terms:
        raise SettingsError(
            f"the teacher {teacher.model} is under the {teacher.name} ({teacher.url}), which forbids {teacher.forbids}; take "
            "another teacher, whose terms allow it, or, if you have a permission that says otherwise, set "
            "preflight.acknowledge_terms: true, which is recorded"
        )
    conditions: list[str] = []
    if banned:
        conditions.append(
            f"The {teacher.name} ({teacher.url}) forbids {teacher.forbids}; this run was acknowledged with "
            f"preflight.acknowledge_terms, so keep the permission to use {teacher.model} with the release."
        )
    if teacher.outputs_may_train == UNKNOWN:
        conditions.append(_to_be_read("teacher", teacher, "whether its outputs may train another model"))
    conditions.extend(teacher.conditions)
    if student.licence == UNKNOWN:
        conditions.append(_to_be_read("student", student, "what it asks of models made from it"))
    conditions.extend(student.student_conditions)
    return list(dict.fromkeys(conditions))


def check_judge_terms(judge: Terms, student: Terms, curates: bool, acknowledge_terms: bool) -> list[str]:
    """Stop a run whose judge's terms forbid it: scores that decide what a model is trained on have a part in it as answers have.

    Args:
        judge: Terms of the model that judges.
        student: Terms of the model that is trained.
        curates: Whether the judge scores the rows that are trained on; otherwise it compares answers for the report alone.
        acknowledge_terms: Whether somebody says that they may do so all the same; the ban is then a condition to keep.

    Returns:
        What a release of the student must keep because of the judge.

    Raises:
        SettingsError: If the judge's outputs may not train this student, it scores training rows, and nobody acknowledged it.
    """
    if _forbids(judge, student):
        ban = f"the judge {judge.model} is under the {judge.name} ({judge.url}), which forbids {judge.forbids}"
        if not curates:
            return [f"{ban[0].upper()}{ban[1:]}: before a release, read whether its judgements may be published or relied on."]
        if not acknowledge_terms:
            raise SettingsError(
                f"{ban}, and its scores decide what the student is trained on; take another judge (judge.by), set "
                "dataset.filters.judge.mode: off, or, if you have a permission that says otherwise, set "
                "preflight.acknowledge_terms: true, which is recorded"
            )
        return [
            f"{ban[0].upper()}{ban[1:]}; this run was acknowledged with preflight.acknowledge_terms, so keep the permission with "
            "the release."
        ]
    if not curates:
        return []
    question = "whether its judgements may be used to train another model"
    unread = [_to_be_read("judge", judge, question)] if judge.outputs_may_train == UNKNOWN else []
    return [*unread, *judge.conditions]


def _forbids(teacher: Terms, student: Terms) -> bool:
    return teacher.outputs_may_train == "no" and student.licence not in teacher.except_students_of


def _to_be_read(role: str, terms: Terms, question: str) -> str:
    if terms.licence == UNKNOWN:
        return f"The licence of the {role} {terms.model} is not known ({terms.name}): before a release, read {question}."
    return f"The {role} {terms.model} is under the {terms.name} ({terms.url}): before a release, read {question}."


def _terms(model: str, licence: Licence) -> Terms:
    shared = Licence.model_fields.keys() & Terms.model_fields.keys()
    return Terms(model=model, licence=licence.id, **licence.model_dump(include=set(shared)))


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""  # the endpoint's own check says what is wrong with it


def _by_host(host: str, shared: bool) -> Licence | None:
    patterns = ((licence, licence.shared_hosts if shared else licence.hosts) for licence in licence_table().licences)
    return _most_specific(host, patterns) if host else None


def _by_name(source: str) -> Licence | None:
    patterns = [(licence, licence.models) for licence in licence_table().licences]
    return next((found for name in spelled_names(source) if (found := _most_specific(name, patterns))), None)


def _most_specific(name: str, patterns: Iterable[tuple[Licence, tuple[str, ...]]]) -> Licence | None:
    """Return the licence whose matching pattern has the most literal characters; of equals, the first by spelling."""
    matches = [(pattern, licence) for licence, globs in patterns for pattern in globs if fnmatchcase(name, pattern)]
    return min(matches, key=lambda match: (-_literals(match[0]), match[0]))[1] if matches else None


def _literals(pattern: str) -> int:
    return len(pattern.replace("[0-9]", "").replace("*", ""))


def _by_tag(tags: list[str]) -> Licence | None:
    """Return the licence of a model card's tags; the last of them is the most exact."""
    for tag in reversed(tags):
        for licence in licence_table().licences:
            if tag.lower() in licence.hub_licences:
                return licence
    return None
