"""Only what the ledger lacks is asked, each thing once, neighbours in an order that an engine's cache likes."""

from pathlib import Path

import pytest

from tasks.generating import asking
from tests.generating.answers import ScriptedTeacher, answer, ask, conversation, open_ledger, texts

ANSWERS = {"one": "1", "two": "2", "three": "3", "four": "4"}


def test_prompts_that_begin_alike_are_asked_side_by_side(tmp_path: Path) -> None:
    prompts = ["b 1", "a 3", "b 2", "a 1", "a 2"]
    teacher, ledger = ScriptedTeacher(dict.fromkeys(prompts, "x")), open_ledger(tmp_path)
    answer(ledger, ask(ledger, texts(*prompts))[0], teacher)

    assert teacher.asked == sorted(prompts)


def test_only_a_block_of_prompts_is_ordered_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_BLOCK_ROWS", 2)
    prompts = ["d", "c", "b", "a", "e"]
    teacher, ledger = ScriptedTeacher(dict.fromkeys(prompts, "x")), open_ledger(tmp_path)
    answer(ledger, ask(ledger, texts(*prompts))[0], teacher)

    assert teacher.asked == ["c", "d", "a", "b", "e"]


def test_what_was_answered_before_is_not_asked_again(tmp_path: Path) -> None:
    first, second = ScriptedTeacher(ANSWERS), ScriptedTeacher(ANSWERS)
    ledger = open_ledger(tmp_path)
    answer(ledger, ask(ledger, texts("one", "two"))[0], first)
    later = open_ledger(tmp_path)
    asker, dialogues = ask(later, texts("one", "two", "three"))

    assert [dialogue.prompt["id"] for dialogue in asker.waiting] == ["three"]
    answer(later, asker, second)
    assert second.asked == ["three"]
    assert all(len(dialogue.keys) == 1 for dialogue in dialogues)


def test_prompts_that_are_the_same_share_one_request(tmp_path: Path) -> None:
    teacher, ledger = ScriptedTeacher(ANSWERS), open_ledger(tmp_path)
    asker, dialogues = ask(ledger, texts("one", "two", "one"))
    rows = answer(ledger, asker, teacher)

    assert teacher.asked == ["one", "two"]
    assert len(rows) == 2
    assert dialogues[0].keys == dialogues[2].keys != dialogues[1].keys


def test_samples_of_a_prompt_are_asked_one_by_one(tmp_path: Path) -> None:
    teacher, ledger = ScriptedTeacher(ANSWERS), open_ledger(tmp_path)
    rows = answer(ledger, ask(ledger, texts("one"), samples=3)[0], teacher)

    assert teacher.asked == ["one"] * 3
    assert len({row["key"] for row in rows}) == len({row["seed"] for row in rows}) == 3


def test_what_another_run_answers_meanwhile_is_taken_over(tmp_path: Path) -> None:
    mine, theirs = open_ledger(tmp_path), open_ledger(tmp_path)
    asker, dialogues = ask(mine, texts("one", "three", "two"))
    their_asker, their_dialogues = ask(theirs, texts("two"))
    teacher = ScriptedTeacher(ANSWERS)

    def let_the_other_run_answer(number: int) -> None:
        if number == 0:
            answer(theirs, their_asker, ScriptedTeacher(ANSWERS))

    answer(mine, asker, teacher, after=let_the_other_run_answer)

    assert teacher.asked == ["one", "three"]
    assert asker.taken_over == 1
    assert dialogues[2].keys == their_dialogues[0].keys
    assert asker.in_flight == 0


def test_the_next_turn_is_asked_after_the_teachers_own_answer(tmp_path: Path) -> None:
    script = {"hi": "hello", "hi\nhello\nhow?": "well"}
    teacher, ledger = ScriptedTeacher(script), open_ledger(tmp_path)
    asker, (dialogue,) = ask(ledger, [conversation("hi", "what the source says", "how?")])
    answer(ledger, asker, teacher)
    again, (found,) = ask(open_ledger(tmp_path), [conversation("hi", "what the source says", "how?")])

    assert teacher.asked == list(script)
    assert (len(dialogue.keys), dialogue.answers) == (2, ["hello"])
    assert again.waiting == [], "a later run finds the whole chain"
    assert found == dialogue


def test_a_later_run_goes_on_in_the_middle_of_a_conversation(tmp_path: Path) -> None:
    asked = conversation("hi", "what the source says", "how?")
    ledger = open_ledger(tmp_path)
    asker, _ = ask(ledger, [asked])
    with pytest.raises(ConnectionError):  # the run ends after its first answer
        answer(ledger, asker, ScriptedTeacher({"hi": "hello"}), after=_break_off)
    later, teacher = open_ledger(tmp_path), ScriptedTeacher({"hi\nhello\nhow?": "well"})
    asker, (dialogue,) = ask(later, [asked])
    answer(later, asker, teacher)

    assert teacher.asked == ["hi\nhello\nhow?"]
    assert len(dialogue.keys) == 2


def test_a_conversation_ends_at_an_answer_that_was_cut(tmp_path: Path) -> None:
    teacher, ledger = ScriptedTeacher({"hi": "a very long answer"}), open_ledger(tmp_path)
    asker, (dialogue,) = ask(ledger, [conversation("hi", "what the source says", "how?")])
    answer(ledger, asker, teacher)
    again, (found,) = ask(open_ledger(tmp_path), [conversation("hi", "what the source says", "how?")])

    assert teacher.asked == ["hi"]
    assert (len(dialogue.keys), dialogue.problem) == (1, None)
    assert (again.waiting, found) == ([], dialogue)


def test_an_answer_that_was_cut_counts_only_under_the_same_limit(tmp_path: Path) -> None:
    script = {"short": "ok", "long": "a dozen chars"}
    ledger = open_ledger(tmp_path)
    answer(ledger, ask(ledger, texts(*script), limit=8)[0], ScriptedTeacher(script, limit=8))
    waiting = {
        limit: [dialogue.prompt["id"] for dialogue in ask(open_ledger(tmp_path), texts(*script), limit=limit)[0].waiting]
        for limit in (8, 16)
    }

    assert waiting == {8: [], 16: ["long"]}


def test_a_finished_answer_that_is_longer_than_the_limit_is_asked_again_and_kept_beside_it(tmp_path: Path) -> None:
    script = {"long": "six ch"}
    ledger, tight = open_ledger(tmp_path), open_ledger(tmp_path)
    asker, (free,) = ask(ledger, texts(*script), limit=8)
    answer(ledger, asker, ScriptedTeacher(script, limit=8))
    asker, (limited,) = ask(tight, texts(*script), limit=4)
    rows = answer(tight, asker, ScriptedTeacher({"long": "abc"}, limit=4))  # this time it finishes in time
    (found_free,), (found_limited,) = (ask(open_ledger(tmp_path), texts(*script), limit=limit)[1] for limit in (8, 4))

    assert [row["answer"] for row in rows] == ["abc"]
    assert limited.keys != free.keys
    assert (found_free.keys, found_limited.keys) == (free.keys, limited.keys)


@pytest.mark.parametrize("reason", ["error", "abort", "refused"])
def test_a_row_that_failed_has_a_problem_and_is_asked_again_by_the_next_run(tmp_path: Path, reason: str) -> None:
    ledger = open_ledger(tmp_path)
    asker, (good, bad) = ask(ledger, texts("one", "two"))
    answer(ledger, asker, ScriptedTeacher(ANSWERS, failures={"two": reason}))

    assert (good.problem, bad.problem, bad.keys) == (None, reason, [])
    assert [dialogue.prompt["id"] for dialogue in ask(open_ledger(tmp_path), texts("one", "two"))[0].waiting] == ["two"]


def test_what_was_under_way_when_an_engine_died_is_asked_again_first(tmp_path: Path) -> None:
    teacher, ledger = ScriptedTeacher(ANSWERS), open_ledger(tmp_path)
    asker, _ = ask(ledger, texts("four", "one", "three", "two"))
    lost = [asker.take(), asker.take()]
    assert asker.in_flight == 2
    asker.ask_again()
    answer(ledger, asker, teacher)

    assert None not in lost
    assert sorted(teacher.asked[:2]) == ["four", "one"]
    assert sorted(teacher.asked) == sorted(ANSWERS)


def test_a_prompt_that_is_too_long_is_never_asked(tmp_path: Path) -> None:
    teacher, ledger = ScriptedTeacher(ANSWERS), open_ledger(tmp_path)
    asker, (over_long, one) = ask(ledger, texts("x" * 41, "one"))
    answer(ledger, asker, teacher)

    assert (over_long.problem, one.problem) == ("over_long_prompt", None)
    assert teacher.asked == ["one"]


def _break_off(number: int) -> None:
    raise ConnectionError(number)
