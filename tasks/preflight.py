"""The preflight stage: a training that cannot work, or may not be done, is refused before anything is paid for."""

import json
from pathlib import Path
from typing import Any

from tasks.core.artifact import Artifact, read_record
from tasks.core.caching import Stage
from tasks.core.environment import prepare_libraries
from tasks.core.errors import SettingsError
from tasks.core.progress import stage_logger
from tasks.core.records import PROMPTS
from tasks.core.section import Section
from tasks.core.tables import read_table
from tasks.preflight_checks.memory import MemoryEstimate, estimate_training_bytes, require_memory
from tasks.preflight_checks.shape import ModelShape
from tasks.teachers.identity import endpoint_of
from tasks.training.settings import LOGPROB_METHODS, TEACHER_METHODS, Method, TrainingSettings

STAGE = Stage("preflight", version=2)
FINDINGS_FILE = "preflight.json"


class PreflightSettings(Section):
    """What is looked at before anything is paid for: terms, tokenizers, templates, architecture, memory."""

    acknowledge_terms: bool = False
    """Go on although the terms of the teacher, or of a judge that scores training rows, forbid as far as they are known here that
    another model is trained on its answers: you have a permission. It is recorded with the run."""


class PreflightPlan(Section):
    """All that the checks depend on."""

    acknowledge_terms: bool = False
    """Whether the user says that they may do what the terms of teacher or judge seem to forbid."""

    judge_curates: bool
    """Whether the judge, if there is one, scores the rows that are trained on."""

    method: Method
    """How the student is trained."""

    turns: str
    """Which of a conversation's turns are trained on."""

    lora_target_modules: tuple[str, ...] | None
    """Layers that get adapters, empty for all linear ones; None: every weight is trained."""

    packing: bool
    """Whether rows are laid end to end."""

    reasoning: bool
    """Whether the teacher's reasoning is trained on."""

    relations: bool
    """Whether attention relations are matched, which are read off the projections of queries, keys and values."""


def plan_preflight(preflight: PreflightSettings, training: TrainingSettings, *, judge_curates: bool = False) -> PreflightPlan:
    """Return what has to be checked for a training.

    Args:
        preflight: What the user says of the checks.
        training: How the student is trained.
        judge_curates: Whether a judge scores the rows that are trained on.
    """
    return PreflightPlan(
        judge_curates=judge_curates,
        acknowledge_terms=preflight.acknowledge_terms,
        method=training.method,
        turns=training.turns,
        lora_target_modules=None if training.lora is None else training.lora.target_modules,
        packing=training.packing,
        reasoning=training.train_on == "reasoning_and_answer",
        relations=training.method == "hidden_states" and training.hidden_states.relation_weight > 0,
    )


@STAGE.task
def check_models(
    settings: PreflightPlan,
    store: str,
    teacher: Artifact,
    student: Artifact,
    prompts: Artifact,
    judge: Artifact | None = None,
) -> Artifact:
    """Check that a student can be trained on a teacher's answers as planned; neither one's weights are read.

    Args:
        settings: What is planned.
        store: URL of the artefact store.
        teacher: A ``model`` artefact, of an endpoint too, or the ``student`` artefact of an earlier run; before any adaptation.
        student: The ``model`` artefact that is trained, before it is cut down.
        prompts: A ``prompts`` artefact; only the roles of its conversations are looked at.
        judge: The ``model`` or ``student`` artefact that judges answers; None: nobody, or the teacher. Only its terms matter.

    Returns:
        Handle of a ``preflight`` artefact: preflight.json with everything that was found, which is also in the record.

    Raises:
        ModelError: If a model's files are not there, or its template does not take the conversations.
        SettingsError: If the training cannot work, or the terms of teacher or judge forbid it.
        StageFailedError: If an endpoint that is asked for its tokens does not answer.
    """
    prepare_libraries()
    from tasks.preflight_checks.origins import fetch_small_files

    inputs = {"teacher": teacher, "student": student, "prompts": prompts} | ({} if judge is None else {"judge": judge})
    with STAGE.draft(store, settings, **inputs) as draft:
        terms = _check_terms(settings, teacher, student, judge)
        folder = fetch_small_files(student)
        shapes = _check_architectures(settings, teacher, student, folder)
        tokenizer, ends = _check_templates(settings, folder, prompts)
        same = _check_tokenizers(settings, teacher, student, tokenizer, ends)
        draft.summary = {**terms, **shapes, "same_tokenizer": same}
        (draft.path / FINDINGS_FILE).write_text(json.dumps(draft.summary, indent=2), encoding="utf-8")
        return draft.publish()


def check_memory(
    preflight: Artifact, training: TrainingSettings, max_tokens: int, keep_layers: int | None = None
) -> MemoryEstimate | None:
    """Check that a training fits on its device; asked in every run, for devices are no part of a preflight's identity.

    Args:
        preflight: A ``preflight`` artefact of this training.
        training: How the student is trained; ``runtime.device_memory_gib`` says how much memory one GPU has.
        max_tokens: Longest row, prompt and answer.
        keep_layers: Layers that the student is cut down to before it is trained; None: it is trained whole.

    Returns:
        The estimate; None where the device's memory is not known.

    Raises:
        SettingsError: If it does not fit.
    """
    device_gib = training.runtime.device_memory_gib
    if device_gib is None:
        return None
    summary = read_record(preflight).summary
    student = ModelShape.model_validate(summary["student"])
    teacher = None if summary["teacher"] is None else ModelShape.model_validate(summary["teacher"])
    shape = student if keep_layers is None else student.with_layers(keep_layers)
    estimate = estimate_training_bytes(shape, training, max_tokens, teacher)
    require_memory(estimate, device_gib, training)
    stage_logger().info("preflight: the training takes %.3g GiB of %g on each device", estimate.total / (1 << 30), device_gib)
    return estimate


def _check_terms(settings: PreflightPlan, teacher: Artifact, student: Artifact, judge: Artifact | None) -> dict[str, Any]:
    from tasks.preflight_checks.origins import terms_of
    from tasks.preflight_checks.terms import check_judge_terms, check_terms

    theirs, ours = terms_of(teacher), terms_of(student)
    judges = [] if judge is None else terms_of(judge)
    acknowledged = settings.acknowledge_terms
    pairs = [check_terms(their, our, acknowledged) for their in theirs for our in ours]
    pairs += [check_judge_terms(each, our, settings.judge_curates, acknowledged) for each in judges for our in ours]
    conditions = list(dict.fromkeys(condition for pair in pairs for condition in pair))
    stage_logger().info(
        "preflight: terms of teacher %s, student %s, judge %s; %d conditions for a release",
        *([terms.name for terms in found] for found in (theirs, ours, judges)),
        len(conditions),
    )
    sides = {"teacher": theirs, "student": ours, "judge": judges}
    return {
        "terms": {side: [terms.model_dump(mode="json") for terms in found] for side, found in sides.items()},
        "conditions": conditions,
    }


def _check_architectures(settings: PreflightPlan, teacher: Artifact, student: Artifact, folder: Path) -> dict[str, Any]:
    from tasks.preflight_checks.architecture import read_shape, require_projections, require_same_outputs, require_trainable
    from tasks.preflight_checks.origins import fetch_small_files

    shape, theirs = read_shape(folder), None
    require_trainable(shape, settings.method, settings.lora_target_modules, settings.packing, settings.relations)
    if settings.method in TEACHER_METHODS:
        if endpoint_of(teacher) is not None:
            raise SettingsError(
                f"the method {settings.method} holds the teacher in memory, and this teacher runs behind an endpoint; give "
                "teacher.model, or set student.training.method to sft, or to topk_kd if the endpoint is vLLM's own server"
            )
        theirs = shape if teacher == student else read_shape(fetch_small_files(teacher))
        if settings.relations:
            require_projections(theirs)
        if settings.method == "on_policy":
            require_same_outputs(theirs, shape)
    stage_logger().info(
        "preflight: the student is a %s of %.4g million weights in %d layers, %s head",
        shape.architecture,
        shape.parameters / 1e6,
        shape.layers,
        "tied" if shape.tied else "separate",
    )
    return {"student": shape.model_dump(mode="json"), "teacher": None if theirs is None else theirs.model_dump(mode="json")}


def _check_templates(settings: PreflightPlan, folder: Path, prompts: Artifact) -> tuple[Any, set[int]]:
    """Return the student's tokenizer and the token ids at which it stops."""
    from transformers import AutoTokenizer

    from tasks.preflight_checks.templates import end_token_ids, require_round_trip
    from tasks.training.marked_turns import TurnMarker

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ends = end_token_ids(folder, tokenizer)
    roles = _roles(prompts)
    require_round_trip(tokenizer, ends, roles, settings.reasoning)
    if settings.turns == "all" and any(roles):
        TurnMarker(tokenizer)
    stage_logger().info("preflight: answers survive the student's template and end with one of the tokens %s", sorted(ends))
    return tokenizer, ends


def _roles(prompts: Artifact) -> list[tuple[str, ...]]:
    """Return every sequence of roles that the prompts have, once; an empty one stands for plain texts."""
    rows = read_table(prompts, PROMPTS, columns=["messages"])
    return list(dict.fromkeys(tuple(message["role"] for message in row["messages"]) for row in rows))


def _check_tokenizers(
    settings: PreflightPlan, teacher: Artifact, student: Artifact, tokenizer: Any, ends: set[int]
) -> bool | None:
    """Return whether teacher and student have the same tokenizer; None where the method does not need it, and nobody looked."""
    if settings.method not in (*LOGPROB_METHODS, *TEACHER_METHODS):
        stage_logger().info("preflight: the method %s needs no common tokenizer", settings.method)
        return None
    if teacher != student:
        from tasks.preflight_checks.teacher_tokens import require_teacher_tokens

        require_teacher_tokens(settings.method, teacher, student, tokenizer, ends)
    stage_logger().info("preflight: teacher and student have the same tokenizer")
    return True
