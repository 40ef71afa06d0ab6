"""Finds personal data and secrets by their form, and blacks them out: each kind is a pattern and what makes a match a real one.

Kinds are looked for one after another, the most certain first, and what one has found the next do not see: nothing is counted
twice, and no kind reaches into another or into the words around it.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tasks.core.needles import needle_search

_IBAN_LENGTHS = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18"
    "GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23"
    "PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"
)
_IBAN_LENGTH = {_IBAN_LENGTHS[at : at + 2]: int(_IBAN_LENGTHS[at + 2 : at + 4]) for at in range(0, len(_IBAN_LENGTHS), 4)}
"""Characters of an IBAN by country: SWIFT's registry, ISO 13616."""

_PHONE_DIGITS = {
    "1": 11,
    "7": 11,
    "33": 11,
    "34": 11,
    "39": 12,
    "44": 12,
    "49": 13,
    "55": 13,
    "61": 11,
    "81": 12,
    "86": 13,
    "91": 12,
}
"""Most digits of a number, the country's among them; E.164 allows 15 anywhere."""
_E164_DIGITS = (8, 15)
_DIGITS = tuple("0123456789")
_KEY_STARTS = (
    *(f"{start}{mark}" for start in ("sk", "pk", "rk", "gsk", "hf", "xai", "nvapi", "glpat") for mark in "-_"),
    *(f"xox{kind}-" for kind in "abps"),
    *(f"gh{kind}_" for kind in "oprsu"),
    *("github_pat_", "AKIA", "ASIA", "AIza", "eyJ"),
)
_FILE_ENDINGS = {"png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "js", "css"}


class Kind(NamedTuple):
    """One kind of personal data or secret."""

    name: str
    pattern: re.Pattern[str]
    length: Callable[[str], int]
    """How much of a match, from its start, really is one; 0: nothing of it."""
    needles: tuple[str, ...] = ()
    """A text without any of these has none of it, which is seen faster than by the pattern."""
    has_digits: bool = True
    """A text without a digit has none of it."""

    @property
    def placeholder(self) -> str:
        """What stands in the place of what was blacked out."""
        return f"[{self.name.replace('_', ' ')}]"


def black_out(text: str) -> tuple[str, Counter[str]]:
    """Return a text with a placeholder for everything found, such as ``[email]``, and how often each kind was found.

    Args:
        text: Any text; nothing else of it changes.
    """
    found: Counter[str] = Counter()
    has_digits = _has_one(_DIGITS, text)
    for kind in KINDS:
        if (has_digits or not kind.has_digits) and (not kind.needles or _has_one(kind.needles, text)):
            text = _replace(kind, text, found)
    return text, found


def personal_data_search() -> Callable[[Sequence[str]], list[bool]]:
    """Return a function that tells of every text whether ``black_out`` can find anything in it: a text that it says no to has
    nothing, one that it says yes to may have."""
    return needle_search([*_DIGITS, *(needle for kind in KINDS if not kind.has_digits for needle in kind.needles)])


def _has_one(needles: tuple[str, ...], text: str) -> bool:
    return any(map(text.__contains__, needles))  # a generator would take three times as long


def _replace(kind: Kind, text: str, found: Counter[str]) -> str:
    pieces: list[str] = []
    start = at = 0
    while match := kind.pattern.search(text, at):
        length = kind.length(match[0])
        at = match.start() + max(length, 1)
        if length:
            pieces += [text[start : match.start()], kind.placeholder]
            start = at
            found[kind.name] += 1
    return "".join([*pieces, text[start:]])


def _whole(matched: str) -> int:
    return len(matched)


def _email(matched: str) -> int:
    return 0 if matched.rpartition(".")[2].lower() in _FILE_ENDINGS else len(matched)


def _key(matched: str) -> int:
    """Keys are random: a digit and a letter after the prefix tell them from hyphenated words."""
    body = matched[4:]
    return len(matched) if any(map(str.isdigit, body)) and any(map(str.isalpha, body)) else 0


def _iban(matched: str) -> int:
    """Cut at the country's length, for words may follow; the remainder of a division by 97 is 1 (ISO 7064)."""
    end, compact = 0, ""
    for character in matched:
        end += 1
        compact += "" if character == " " else character
        if len(compact) == _IBAN_LENGTH.get(compact[:2]):
            break
    else:
        return 0
    if matched[end : end + 1].isalnum():
        return 0
    digits = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return end if int(digits) % 97 == 1 else 0


def _card(matched: str) -> int:
    """Check the last digit by Luhn's algorithm (ISO/IEC 7812-1)."""
    digits = [int(character) for character in reversed(matched) if character.isdigit()]
    doubled = (digit * 2 - 9 * (digit > 4) for digit in digits[1::2])
    return len(matched) if (sum(digits[::2]) + sum(doubled)) % 10 == 0 else 0


def _address(matched: str) -> int:
    """Only addresses that are somebody's: not private, loopback, documentation or reserved ones."""
    try:
        return len(matched) if ipaddress.ip_address(matched).is_global else 0
    except ValueError:
        return 0


def _phone(matched: str) -> int:
    """Cut after as many digits as the country has, for other numbers may follow."""
    digits = "".join(filter(str.isdigit, matched))
    most = next((_PHONE_DIGITS[digits[:size]] for size in (1, 2) if digits[:size] in _PHONE_DIGITS), _E164_DIGITS[1])
    if len(digits) < _E164_DIGITS[0]:
        return 0
    end = count = 0
    for place, character in enumerate(matched, start=1):
        count += character.isdigit()
        end = place if character.isdigit() else end
        if count == most:
            break
    return end


KINDS: tuple[Kind, ...] = (
    Kind(
        "private_key",
        re.compile(
            r"-----BEGIN (?P<what>[A-Z ]{0,40}PRIVATE KEY)-----"
            r"(?:[\s\S]{0,20000}?-----END (?P=what)-----|(?:\s+[A-Za-z0-9+/=]{20,})*)"
        ),
        _whole,
        ("-----BEGIN",),
        has_digits=False,
    ),
    Kind(
        "url_with_password",
        re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/:@]{0,64}:[^\s/@]{1,64}@[\w./:?=&%+~#-]*[\w/]"),
        _whole,
        ("://",),
        has_digits=False,
    ),
    Kind(
        "key",
        re.compile(rf"\b(?:{'|'.join(_KEY_STARTS)})[-_A-Za-z0-9.]{{11,500}}[A-Za-z0-9]"),
        _key,
        _KEY_STARTS,
    ),
    Kind(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,6}\.[A-Za-z]{2,24}(?![\w-])"),
        _email,
        ("@",),
        has_digits=False,
    ),
    Kind("iban", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,36}"), _iban),
    Kind(
        "card",
        re.compile(
            r"(?<![\d.])(?:(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6\d{3}|35\d\d)(?:[ -]?\d{4}){3}|3[47]\d\d[ -]?\d{6}[ -]?\d{5}"
            r"|3[068]\d\d[ -]?\d{6}[ -]?\d{4})(?![\d.]\d|\d)"
        ),
        _card,
    ),
    Kind("ip_address", re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"), _address),
    Kind(
        "ip_address",
        re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}:(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4}(?![\w:])"),
        _address,
    ),
    Kind("ssn", re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])"), _whole),
    Kind("phone", re.compile(r"(?<![\w+])\+(?:[ ]?\(?[1-9]\)?)(?:[ ./-]?[ ]?\(?\d\)?){6,16}"), _phone),
    Kind(
        "phone",
        re.compile(
            r"(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d(?P<mark>[.-]))[2-9]\d\d(?(mark)(?P=mark)|-)\d{4}(?![\w-]|\.\d)"
        ),
        _whole,
    ),
)
"""Of a social security number, what was never given out is none (SSA's rules since 2011); of a number without a country's, only
those of the North American plan are known by their form."""
