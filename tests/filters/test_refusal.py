"""The refusal filter: answers that refuse, or speak of themselves as a model; in the first 200 characters, and never labels."""

import pytest

from tests.filters.candidates import answered, reasons


@pytest.mark.parametrize(
    "completion",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, but I cannot assist with this request.",
        "Sorry, I can't do that.",
        "I am unable to provide medical advice.",
        "I must decline to write this.",
        "I must respectfully decline.",
        "I don't feel comfortable answering that.",
        "That is against my guidelines.",
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Desculpe, mas não posso ajudar.",
        "Het spijt me, maar ik kan je daar niet bij helpen.",
        "Przykro mi, ale nie mogę pomóc.",
        "Извините, но я не могу вам помочь.",
        "抱歉我无法回答这个问题。",
        "申し訳ありませんが、お答えできません。",
        "죄송하지만 도와드릴 수 없습니다.",
    ],
)
def test_a_refusal_is_known_in_many_languages(completion: str) -> None:
    assert reasons("refusal", [answered(completion)]) == ["refusal"]


@pytest.mark.parametrize(
    "completion",
    [
        "As an AI language model, I have no opinion.",
        "I am a large language model without a body.",
        "I'm ChatGPT, here to help.",
        "I was created by Anthropic to be useful.",
        "Als KI habe ich keine Meinung.",
        "En tant qu'IA, je n'ai pas d'avis.",
        "Como modelo de lenguaje, no opino.",
        "作为一个人工智能我没有意见。",
    ],
)
def test_a_model_that_introduces_itself_is_known_unless_that_does_not_matter(completion: str) -> None:
    assert reasons("refusal", [answered(completion)]) == ["self_identification"]
    assert reasons("refusal", [answered(completion)], self_identification=False) == [None]


@pytest.mark.parametrize(
    "completion",
    [
        "I'm sorry to hear that your parcel has not arrived. Let me look into it.",
        "I cannot believe how good it is!",
        "She works as an AI researcher at a university.",
        "You can't help but smile.",
        "I can't help but notice how clear it is.",
        "I do not feel comfortable in a small boat, but a large one is fine.",
        "Das kann ich nicht empfehlen, nimm besser Kupfer.",
        f"{'A still needs copper. ' * 12}Some say: I'm sorry, but I can't help with that.",
        "Como siempre, la respuesta es sí.",
    ],
)
def test_ordinary_answers_pass(completion: str) -> None:
    assert reasons("refusal", [answered(completion)]) == [None]


def test_a_label_is_never_a_refusal_and_reasoning_is_looked_at_too() -> None:
    label = answered("I can't help", task="CLASSIFICATION")
    thought = answered("Yes.", reasoning="I'm sorry, but I can't help with that.")

    assert reasons("refusal", [label, thought]) == [None, "refusal"]
    assert reasons("refusal", [thought], look_at=["answer"]) == [None]
