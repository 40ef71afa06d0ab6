"""A shown sample gives away no person and no secret, and ordinary text stays readable."""

import pytest

from tasks.core.redaction import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Write to jane.doe+shop@mail.example.co.uk.", "Write to [email]."),
        ("Call +44 20 7946 0958 now", "Call [phone] now"),
        ("Call (030) 1234567", "Call [number]"),
        ("Call 555-123-4567.", "Call [number]."),
        ("My card is 4111 1111 1111 1112", "My card is [number]"),
        ("Pay to GB29NWBK60161331926818", "Pay to [iban]"),
        ("Call +49.30.901820", "Call [phone]"),
        ("Call 2019-2020-33", "Call [number]"),
        ("My card is 4111 1111 1111 1111", "My card is [card]"),
        ("My card is 4111-1111-1111-1111, valid", "My card is [card], valid"),
        ("Pay to DE89 3704 0044 0532 0130 00 today", "Pay to [iban] today"),
        ("Pay to GB29NWBK60161331926819", "Pay to [iban]"),
        ("use sk-proj-4fGh56tyQwErTy for it", "use [key] for it"),
        ("use hf_AbCdEfGhIjKlMnOpQr for it", "use [key] for it"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "Bearer [key]"),
        ("token 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "token [key]"),
        ("postgres://still:hunter2@db.internal:5432/prod is down", "[url with password] is down"),
        ("redis://:hunter2@cache:6379/0", "[url with password]"),
        ("from 192.168.10.77:8080", "from [ip address]:8080"),
    ],
)
def test_what_is_personal_or_secret_is_blacked_out(text: str, shown: str) -> None:
    assert redact(text, 200) == shown


@pytest.mark.parametrize(
    "text",
    [
        "16 - 3 - 4 = 9",
        "(12 + 7) * 3 = 57, so 57 / 3 = 19.",
        "She eats 3, bakes with 4 and sells the other 9 at $2 each.",
        "It opened in 1998 and closed in 2015.",
        "The price fell from $1,299.99 to $999.50, that is 23 %.",
        "It costs 1,250,000 pounds, or $1250000, or €12500.75.",
        "The war of 1914-1918, the season 2019/2020.",
        "Version 3.11.4 of Python, released at 10:45.",
        "Skyscrapers, skateboarding-championships and pkg-config are words.",
        "https://example.com/a/page?x=1 is a plain address",
        "@here is no e-mail, nor is a@b",
        "An internationalisation-and-localisation-specialist",
        "IS 9001 TO BE",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text, 200) == text


def test_a_long_text_is_shortened_after_it_was_redacted() -> None:
    text = f"{'x' * 15} jane@example.com"

    assert redact(text, 20) == f"{'x' * 15} [ema..."
    assert redact("two\n\n lines\t", 20) == "two lines"
