"""Scores of single answers: the prompts that ask for them, and the reader of what the judge said, for curation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.fingerprint import fingerprint
from tasks.core.records import ANSWERED_PROMPTS, AnsweredPrompt, Message, Prompt, logprobs_width, with_logprobs
from tasks.core.tables import read_table
from tasks.judging.prompting import Question, ask_for_score
from tasks.judging.rubrics import rubric_for
from tasks.judging.settings import SCALE, ScoringSettings
from tasks.judging.verdicts import FINISHED, expected_score, read_verdict, token_scores
from tasks.teachers.identity import load_tokenizer

_KEY_DIGITS = 16  # of a fingerprint: 64 bits, of which two among 10 million answers are alike once in 400,000 runs


def answer_id(messages: Sequence[Message], text: str | None, answer: str) -> str:
    """Return what identifies an answer to a judge: the same words to the same prompt are judged once, whoever gave them."""
    return fingerprint([list(messages), text, answer])


def scoring_prompt(row: AnsweredPrompt, settings: ScoringSettings) -> Prompt | None:
    """Return the prompt that has an answer scored; None for an answer that is empty or cut off, which no judge is needed for.

    Raises:
        SettingsError: If the row's task type has no rubric.
    """
    if row["finish_reason"] != FINISHED or not row["answer"].strip():
        return None
    question = Question(row["messages"], row["text"], row["references"] if settings.references else [])
    asked = ask_for_score(question, row["answer"], rubric_for(row["task"], settings.rubrics), settings.form)
    return Prompt(
        id=answer_id(row["messages"], row["text"], row["answer"]),
        messages=[asked],
        text=None,
        references=[],
        task=row["task"],
        split="train",  # what the generations stage answers
        tags=[],
    )


@dataclass(frozen=True)
class Scores:
    """What a judge scored, in a few bytes an answer."""

    judge: str
    """Its name."""
    unreadable: int
    """Answers without a score, because no judgement of them can be read."""
    _keys: np.ndarray
    _values: np.ndarray

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, messages: Sequence[Message], text: str | None, answer: str) -> float | None:
        """Return an answer's score, from 1 to 5; None if it was not judged."""
        key = _key(answer_id(messages, text, answer))
        place = int(np.searchsorted(self._keys, key))
        found = place < len(self._keys) and self._keys[place] == key
        return float(self._values[place]) if found else None


def judge_scores(judgements: Artifact) -> Scores:
    """Read the scores out of a judge's answers.

    Where log-probabilities were kept and the judge's tokenizer is here, which it is not for an endpoint, a score is its
    expectation over what the judge might have said; else it is what the judge said. Several samples are averaged.

    Args:
        judgements: ``generations`` artefact of prompts by ``scoring_prompt``.

    Raises:
        DataError: If its table is damaged.
    """
    record, judge = read_record(judgements), ""
    width = logprobs_width(pq.read_schema(open_file(judgements, ANSWERED_PROMPTS.file)))
    tokenizer = load_tokenizer(record.inputs["teacher"]) if width else None
    score_of = None if tokenizer is None else token_scores(tokenizer)
    keys: list[np.uint64] = []
    values: list[float] = []
    for row in read_table(judgements, with_logprobs(ANSWERED_PROMPTS, width if tokenizer else None)):
        judge, verdict = row["teacher"], read_verdict(row, SCALE)
        if verdict is None:
            continue
        expected = None if score_of is None else expected_score(row, score_of)
        keys.append(_key(row["id"]))
        values.append(verdict if expected is None else expected)
    distinct, where = np.unique(np.array(keys, np.uint64), return_inverse=True)
    means = np.bincount(where, values, len(distinct)) / np.maximum(np.bincount(where, minlength=len(distinct)), 1)
    return Scores(judge, record.inputs["prompts"].counts["train"] - len(distinct), distinct, means.astype(np.float32))


def _key(identifier: str) -> np.uint64:
    return np.uint64(int(identifier[:_KEY_DIGITS], 16))
