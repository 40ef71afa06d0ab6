"""How models refuse and how they introduce themselves, in the languages that most of their answers are in.

All of it is in lower case, with straight apostrophes. To add a form, write it with words that it cannot do without as needles.
"""

from typing import NamedTuple


class Form(NamedTuple):
    """A way of saying it. Without one of the needles a text has none of it, which is seen faster than by the pattern."""

    needles: tuple[str, ...]
    pattern: str


_CANNOT = ("can't", "cannot", "can not", "unable", "not able", "won't", "will not", "decline", "feel comfortable")
REFUSALS = (
    Form(
        _CANNOT,
        r"\b(?:i|we)(?: am|'m| are|'re)?(?: really| very| truly| so)? ?(?:sorry|afraid)\b[^.!?]{0,40}?"
        r"\b(?:i|we)(?:'m| am| are)? ?"
        r"(?:can't|cannot|can not|unable|not able|won't|will not|must decline|don't feel comfortable)\b",
    ),
    Form(_CANNOT, r"^\W*sorry\b[^.!?]{0,20}?\bi (?:can't|cannot|can not|am unable|won't)\b"),
    Form(
        _CANNOT,
        r"\bi(?: am|'m)? ?(?:can't|cannot|can not|unable to|not able to|won't|will not|must decline to|decline to)"
        r"(?: be able to)? "
        r"(?:assist|help|comply|fulfil|fulfill|provide|answer that|answer this|discuss|engage|participate|support|write|create|"
        r"generate|produce|share|give|offer|do that|continue|process|complete)\b(?! but\b)",
    ),
    Form(
        _CANNOT,
        r"\bi (?:must|have to)(?: \w+)? decline\b"
        r"|\bi (?:do not|don't) feel comfortable (?:answer|help|assist|provid|discuss|writ|shar|generat|with th)",
    ),
    Form(
        ("appropriate", "against my"),
        r"\b(?:not|in)(?: be)? ?appropriate (?:for me )?to (?:assist|help|provide|discuss)\b"
        r"|\bagainst my (?:programming|guidelines|principles|policies)\b",
    ),
    Form(  # German
        ("nicht",),
        r"\b(?:tut mir leid|bedaure|bedauere|entschuldig\w+)\b[^.!?]{0,40}\b(?:kann|darf|möchte|werde)\b[^.!?]{0,60}\bnicht\b"
        r"|\bich (?:kann|darf|werde) (?:dabei|dir dabei|ihnen dabei|dir|ihnen|diese[rs]? \w+) ?(?:leider )?nicht\b",
    ),
    Form(  # French
        ("je ne",),
        r"\bje (?:suis (?:vraiment )?désolée?|regrette|m'excuse)\b[^.!?]{0,40}\bje ne (?:peux|suis)\b"
        r"|\bje ne (?:peux|suis) pas (?:en mesure de |autorisée? à |vous |t')?(?:aider|fournir|répondre|assister|donner)\b",
    ),
    Form(  # Spanish
        ("no puedo", "no podemos", "no soy capaz"),
        r"\blo siento\b[^.!?]{0,30}\bno (?:puedo|podemos|soy capaz)\b|\bno puedo (?:ayudar|proporcionar|responder a esa|cumplir)",
    ),
    Form(  # Italian
        ("non posso", "non sono"),
        r"\bmi dispiace\b[^.!?]{0,30}\bnon (?:posso|sono in grado)\b"
        r"|\bnon (?:posso|sono in grado di) (?:aiutar|fornir|rispondere a quest)",
    ),
    Form(  # Portuguese
        ("não posso", "não consigo"),
        r"\b(?:desculpe|sinto muito|lamento)\b[^.!?]{0,30}\bnão (?:posso|consigo)\b"
        r"|\bnão posso (?:ajudar|fornecer|responder a ess)",
    ),
    Form(  # Dutch
        ("niet",),
        r"\bhet spijt me\b[^.!?]{0,30}\bik kan\b[^.!?]{0,60}\bniet\b|\bik kan (?:je|u) (?:daar |hier )?(?:helaas )?niet\b",
    ),
    Form(("nie mogę",), r"\bprzykro mi\b[^.!?]{0,30}\bnie mogę\b|\bnie mogę (?:pomóc|udzielić|odpowiedzieć na to)"),  # Polish
    Form(  # Russian
        ("не могу", "не можем", "не в состоянии"),
        r"(?:извините|простите|сожалению)[^.!?]{0,30}не (?:могу|можем|в состоянии)"
        r"|\bя не могу (?:помочь|предоставить|ответить на это)",
    ),
    Form(  # Chinese
        ("无法", "不能", "無法", "不便"),
        r"(?:抱歉|对不起|對不起|很遗憾)[^。!?]{0,20}(?:无法|不能|無法|不便)|我(?:无法|不能|無法)(?:提供|回答|协助|協助|帮助|满足)",
    ),
    Form(  # Japanese
        ("ません", "かねます"),
        r"(?:申し訳|すみません)[^。!?]{0,40}(?:できません|できかねます|お答えできません|いたしかねます)",
    ),
    Form(
        ("수 없", "어렵습니다"), r"(?:죄송합니다|죄송하지만|미안하지만)[^!?]{0,40}(?:수 없습니다|수 없어요|어렵습니다)"
    ),  # Korean
)
_NAMES = ("chatgpt", "claude", "gemini", "bard", "qwen", "llama", "deepseek", "mistral", "copilot", "grok", "tülu", "olmo")
_MAKERS = ("openai", "anthropic", "google", "meta", "alibaba", "deepseek", "mistral", "microsoft", "xai")
_NO_TRADE = r"(?! (?:engineer|researcher|expert|developer|company|startup))"
SELF_IDENTIFICATIONS = (
    Form(
        (" ai", "artificial intelligence", "language model", "llm", "chatbot"),
        r"\b(?:as|i am|i'm)(?: just| only| simply)? an? (?:\w+ )?"
        rf"(?:ai|artificial intelligence|(?:large )?language model|llm|chatbot)\b{_NO_TRADE}",
    ),
    Form(_NAMES, rf"\bi(?: am|'m|, as) (?:{'|'.join(_NAMES)})\b"),
    Form(_MAKERS, rf"\b(?:i was|i am|i'm|model|assistant) (?:created|developed|trained|made|built) by (?:{'|'.join(_MAKERS)})\b"),
    Form(
        ("knowledge", "training data"),
        r"\bmy (?:knowledge cut-?off|last knowledge update|training data (?:only )?(?:goes|ends|extends))\b"
        r"|\bas of my (?:last )?knowledge\b",
    ),
    Form(
        ("als ", "ich bin", "ki,"),
        r"\bals (?:eine? )?(?:ki|künstliche intelligenz|(?:großes )?sprachmodell)\b"
        r"|\bich bin (?:nur )?(?:eine ki|ein sprachmodell)\b"
        r"|\bals (?:een )?(?:ai-|taal)model\b",
    ),
    Form(
        ("en tant qu", "je suis une"),
        r"\ben tant qu(?:'une? |e |')(?:ia|intelligence artificielle|modèle de langage)\b"
        r"|\bje suis une (?:ia|intelligence artificielle)\b",
    ),
    Form(
        ("como ", "in quanto ", "jako "),
        r"\bcomo (?:una? )?(?:ia|inteligencia artificial|modelo de lenguaje)\b"
        r"|\bcomo (?:uma? )?(?:inteligência artificial|modelo de linguagem)\b"
        r"|\bin quanto (?:ia|intelligenza artificiale|modello linguistico)\b|\bjako model językowy\b",
    ),
    Form(
        ("модель", "интеллект"),
        r"как (?:языковая модель|искусственный интеллект)|я (?:—|-) ?(?:языковая модель|искусственный интеллект)",
    ),
    Form(
        ("作为", "我是"),
        r"作为(?:一个|一名)?(?:人工智能|ai|大?语言模型)|我是(?:一个|由)?(?:人工智能|ai|通义千问|deepseek|chatgpt)",
    ),
    Form(("として", "ですので"), r"(?:aiアシスタント|言語モデル)として|人工知能(?:として|ですので)"),
    Form(("로서", "이기 때문에"), r"(?:ai|인공지능|언어 모델)(?:로서|이기 때문에)"),
)
