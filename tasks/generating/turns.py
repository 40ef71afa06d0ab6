"""Which turns of a conversation a teacher gives, and what it sees before each: its own earlier answers."""

from tasks.core.records import Message
from tasks.generating.prompting import PromptingSettings


def assistant_turns(messages: list[Message], settings: PromptingSettings) -> list[int]:
    """Return how many messages come before each turn that the teacher gives.

    Args:
        messages: A conversation up to the answer that is due; empty for a plain text.
        settings: Whether all of the assistant's turns are given, or the one at the end.

    Returns:
        Ascending lengths of prefixes, the last one of the whole conversation. What the assistant says before the user's first
        turn, and a second message of one turn, are not given: nobody asked for them.
    """
    if settings.turns == "last":
        return [len(messages)]
    roles = [message["role"] for message in messages]
    asked = [
        place
        for place, role in enumerate(roles)
        if role == "assistant" and "user" in roles[:place] and roles[place - 1] != "assistant"
    ]
    return [*asked, len(messages)]


def with_answers(messages: list[Message], prefix_lengths: list[int], answers: list[str]) -> list[Message]:
    """Return what comes before the next turn that the teacher gives.

    Args:
        messages: The whole conversation, as ``assistant_turns`` got it.
        prefix_lengths: What ``assistant_turns`` returned.
        answers: The teacher's answers to the first of these turns, one less than all at most.

    Returns:
        The messages before turn ``len(answers)``, with the answers in the places of the turns that they were given to.
    """
    context: list[Message] = []
    given = dict(zip(prefix_lengths, answers, strict=False))
    replacing = False
    for place, message in enumerate(messages[: prefix_lengths[len(answers)]]):
        if place in given:
            context.append(Message(role="assistant", content=given[place]))
            replacing = True
        elif not (replacing and message["role"] == "assistant"):  # the rest of a turn that was replaced goes too
            context.append(message)
            replacing = False
    return context
