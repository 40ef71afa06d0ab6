"""Personal data is found by its form and its check digit, and nothing beside it is touched."""

import pytest

from tasks.core.personal_data import black_out


@pytest.mark.parametrize(
    ("text", "left", "kind"),
    [
        ("Write to jane.doe+shop@mail.example.co.uk.", "Write to [email].", "email"),
        ("8.8.8.8:53 answers", "[ip address]:53 answers", "ip_address"),
        ("at 2001:4860:4860::8888.", "at [ip address].", "ip_address"),
        ("Pay to DE89 3704 0044 0532 0130 00 TODAY NOW", "Pay to [iban] TODAY NOW", "iban"),
        ("Pay to GB29NWBK60161331926819", "Pay to [iban]", "iban"),
        ("card 4111 1111 1111 1111 2024", "card [card] 2024", "card"),
        ("Amex 3782-822463-10005, valid", "Amex [card], valid", "card"),
        ("Call +44 20 7946 0958 2024 was late", "Call [phone] 2024 was late", "phone"),
        ("+1 (212) 555-0100 500 people", "[phone] 500 people", "phone"),
        ("dial (212) 555-0100.", "dial [phone].", "phone"),
        ("dial 212.555.0100", "dial [phone]", "phone"),
        ("dial 1-800-555-0100", "dial [phone]", "phone"),
        ("my number is 123-45-6789.", "my number is [ssn].", "ssn"),
        ("use sk-proj-4fGh56tyQwErTy.", "use [key].", "key"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.", "Bearer [key].", "key"),
        ("redis://:hunter2@cache:6379/0 is down", "[url with password] is down", "url_with_password"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nxyz\n-----END RSA PRIVATE KEY----- after",
            "[private key] after",
            "private_key",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA12345678\nand then text", "[private key]\nand then text", "private_key"),
    ],
)
def test_what_is_personal_goes_and_the_words_around_it_stay(text: str, left: str, kind: str) -> None:
    assert black_out(text) == (left, {kind: 1})


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1112 fails Luhn's check",
        "GB29NWBK60161331926818 leaves another remainder, DE89 is too short",
        "192.168.10.77, 127.0.0.1 and 203.0.113.7 are nobody's, v1.2.3.4 a version, 999.1.1.1 nothing",
        "a::b, std::vector, 10:30:45",
        "000-12-3456 and 666-12-3456 were never given out",
        "+1250000 units, 16 - 3 - 4 = 9, 2019/2020, $1,299.99",
        "200-300-4000-5, 2023-456-7890, 212-555.0100, 212-155-0100, 12.345.678.9012",
        "icon@2x.png, @here, a@b",
        "sk-learn-something-long and pkg-config are words",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert black_out(text) == (text, {})


def test_several_kinds_side_by_side_are_each_found_once() -> None:
    text = "a@b.org,c@d.org +49 30 901820 4111111111111111 DE89370400440532013000"

    assert black_out(text) == ("[email],[email] [phone] [card] [iban]", {"email": 2, "phone": 1, "card": 1, "iban": 1})


def test_a_long_text_of_one_endless_word_takes_no_time() -> None:
    assert black_out(f"{'a1' * 200_000}@") == (f"{'a1' * 200_000}@", {})
