"""Whether two tokenizers are the same by what they do: the same ids for the same texts, the same texts for the same ids.

Methods that train on the teacher's token ids teach nonsense when the student means other tokens by them, and nothing fails: the
loss only falls more slowly. Sizes prove nothing. Embeddings are padded to different numbers of rows within a family, and
tokenizers of one size may split texts differently.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tasks.core.errors import SettingsError

PROBES = (
    "The still is hot, and the spirit runs clear; isn't it? IT'S warm.",
    "def distil(n: int) -> float:\n\tif n <= 1:\n        return 0.5e-3 * n**2\n    return x[n-1] != y[::2]  # 100%\n",
    '{"id": 42, "tags": ["a\\\\b", null], "price": -1234567.89}',
    "0 7 42 100 2024 31415926535 1,000,000.00 0x1F 1e-9 ½ ² ٣",
    " a  b   c    d        e\tf\t\tg \u00a0h\u2003i  ",
    "one\n\ntwo\n\n\nthree\r\nfour\r\n\r\n \n five\n",
    "蒸留器は熱い。蒸馏器很热\uff0c酒很清。증류기가 뜨겁다",
    "المقطر ساخن والروح صافية َُِ",
    "Перегонный куб горячий. Ότι άμβυκας. המזקקה חמה. आसवन यंत्र गर्म है",
    "👩\u200d🔬👨\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 👍🏽 🇬🇧 ☕️",
    "e\u0301 n\u0303 o\u0302\u0323 \u212b \ufb01 \uff21 \u01c6 \u00df \u0130 \u0131",
    "a\x00b\x01c\x07d\x1be\x7ff\u200bg\ufeffh\u202ei\ufffd",
    "https://example.org/a_b-c/?q=%E2%9C%93&n=1#top user.name+tag@example.org C:\\Temp\\x.txt ../..",
    "$\\frac{a^2}{b_1}$ <b class='x'>&nbsp;</b> **bold** `code` ~~~ ---- ==== ######## ______",
    "Donaudampfschifffahrtsgesellschaft antidisestablishmentarianism aaaaaaaaaaaaaaaaaaaaaaaa hahahaha",
    "<think>\nsteps\n</think>\n\n<tool_call>{}</tool_call> [INST] </s> <|user|> <|endoftext|>",
)
"""Texts on which tokenizers of different families differ."""

_AT_ONCE = 4096
_SHOWN_IDS = 12


class Tokens(Protocol):
    """A tokenizer, here or behind an endpoint."""

    name: str

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts; the texts of special tokens in them become those, and none are added."""
        ...

    def decode(self, rows: Sequence[list[int]]) -> list[str]:
        """Return the texts of ids, special tokens included."""
        ...


class LocalTokens:
    """A Transformers tokenizer."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        """Take a tokenizer.

        Args:
            tokenizer: A Transformers tokenizer.
            name: What messages call the model.
        """
        self.tokenizer, self.name = tokenizer, name

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts."""
        return self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]

    def decode(self, rows: Sequence[list[int]]) -> list[str]:
        """Return the texts of ids."""
        return self.tokenizer.batch_decode(list(rows), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    @property
    def special_texts(self) -> list[str]:
        """The tokens that were added to the vocabulary, each between words."""
        return [f"hot {token} spirit" for token in sorted(self.tokenizer.get_added_vocab())]


@dataclass(frozen=True)
class Difference:
    """The first text or id that two tokenizers do not agree on."""

    asked: str
    teacher: str
    student: str


def require_same_tokens(teacher: Tokens, student: LocalTokens, method: str) -> None:
    """Refuse a student that means other tokens by the teacher's ids.

    Texts of many kinds and of all added tokens are encoded and decoded by both. Where both tokenizers are here, so is every
    single token of both vocabularies: two that differ in one merge differ in the token that it makes.

    Args:
        teacher: The teacher's tokenizer.
        student: The student's.
        method: The method that needs them to be the same.

    Raises:
        SettingsError: If they differ; it names the first text or id on which they do.
    """
    difference = first_difference(teacher, student)
    if difference is not None:
        raise SettingsError(
            f"the method {method} trains on the teacher's token ids, and the tokenizers differ: {difference.asked} is "
            f"{difference.teacher} for the teacher {teacher.name} and {difference.student} for the student {student.name}; set "
            "student.training.method to sft, which needs only the text, or take a student with the teacher's tokenizer"
        )


def require_same_end(teacher: LocalTokens, student: LocalTokens, student_ends: set[int], method: str) -> None:
    """Refuse a student that does not stop where the teacher does.

    Args:
        teacher: The teacher's tokenizer.
        student: The student's.
        student_ends: The token ids at which the student stops.
        method: The method that trains on the teacher's token ids.

    Raises:
        SettingsError: If the teacher's end token is none of them.
    """
    end = teacher.tokenizer.eos_token_id
    if end is not None and end not in student_ends:
        raise SettingsError(
            f"the method {method} trains on the teacher's token ids, and answers of {teacher.name} end with "
            f"{teacher.tokenizer.eos_token!r} (id {end}), while the student {student.name} stops at the ids "
            f"{sorted(student_ends)}, so it would never stop; add {end} to eos_token_id in the student's generation_config.json, "
            "take a student that ends its turns in the same way, or set student.training.method to sft"
        )


def first_difference(teacher: Tokens, student: LocalTokens) -> Difference | None:
    """Return the first text or id that two tokenizers do not agree on, of those that ``require_same_tokens`` tries."""
    special = [text for side in (teacher, student) if isinstance(side, LocalTokens) for text in side.special_texts]
    difference = _compare(teacher, student, [*PROBES, *dict.fromkeys(special)])
    if difference is None and isinstance(teacher, LocalTokens):
        difference = _compare_vocabularies(teacher, student)
    return difference


def _compare(teacher: Tokens, student: Tokens, texts: Sequence[str]) -> Difference | None:
    theirs, ours = teacher.encode(texts), student.encode(texts)
    for text, their, our in zip(texts, theirs, ours, strict=True):
        if their != our:
            return Difference(f"the text {text!r}", *_shown(their, our))
    return _compare_texts(teacher, student, theirs)


def _compare_texts(teacher: Tokens, student: Tokens, rows: Sequence[list[int]]) -> Difference | None:
    for row, their, our in zip(rows, teacher.decode(rows), student.decode(rows), strict=True):
        if their != our:
            ids, _ = _shown(row, row[:0])
            return Difference(f"what the tokens {ids} say", repr(their), repr(our))
    return None


def _compare_vocabularies(teacher: LocalTokens, student: LocalTokens) -> Difference | None:
    size = max(len(teacher.tokenizer), len(student.tokenizer))
    for ids in _batches(range(size)):
        rows = [[token] for token in ids]
        texts = teacher.decode(rows)
        difference = _compare_texts(teacher, student, rows) or _compare(teacher, student, texts)
        if difference is not None:
            return difference
    return None


def _batches(ids: range) -> Iterable[range]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))


def _shown(teacher: list[int], student: list[int]) -> tuple[str, str]:
    """Return two encodings as text, from a little before the place where they part."""
    pairs = zip(teacher, student, strict=False)
    parting = next((place for place, (their, our) in enumerate(pairs) if their != our), min(len(teacher), len(student)))
    start = max(parting - 2, 0)

    def shown(ids: list[int]) -> str:
        part = ", ".join(str(token) for token in ids[start : start + _SHOWN_IDS])
        return f"[{'..., ' if start else ''}{part}{', ...' if len(ids) > start + _SHOWN_IDS else ''}]"

    return shown(teacher), shown(student)
