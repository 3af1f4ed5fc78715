"""Personal data in free text: found by patterns whose matches must pass a check, and replaced by tokens.

Card numbers and IBANs must have right check digits (python-stdnum), phone numbers must be possible and valid in their
country (phonenumbers), e-mail addresses must be well formed (email-validator). What has no check, such as a name, a
street or a PIN, is not found: nobody should take a text for anonymous because this has gone over it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KINDS = ("card", "iban", "email", "phone")
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
_MAYBE = re.compile(r"\d|@")


@dataclass(frozen=True)
class Span:
    """A place in a text that holds personal data.

    Attributes
    ----------
    start, end : int
        `text[start:end]` is it.
    kind : str
        One of `KINDS`.
    value : str
        It in one spelling: the same number with other blanks gives the same. Never shown.
    """

    start: int
    end: int
    kind: str
    value: str

    def __repr__(self) -> str:
        return f"Span(start={self.start}, end={self.end}, kind={self.kind!r})"


def find(text: str, region: str = "GB") -> list[Span]:
    """Find personal data in a text.

    Parameters
    ----------
    text : str
    region : str
        The country, in two letters, that phone numbers without a country code are read in.

    Returns
    -------
    list of Span
        In their order, none overlapping; where two kinds fit, the first of `KINDS` is taken.

    Raises
    ------
    ValueError
        For a region that phonenumbers does not know.
    """
    from phonenumbers import SUPPORTED_REGIONS

    if region not in SUPPORTED_REGIONS:
        raise ValueError(f"'region' must be a country's two letters, such as 'GB'. Got {region!r}.")
    found: list[Span] = []
    if not _MAYBE.search(text):
        return found
    for one in (*_cards(text), *_ibans(text), *_emails(text), *_phones(text, region)):
        if all(one.end <= other.start or one.start >= other.end for other in found):
            found.append(one)
    return sorted(found, key=lambda span: span.start)


def replace(text: str, token: Callable[[str, str], str], region: str = "GB") -> str:
    """Replace what `find` finds.

    Parameters
    ----------
    text : str
    token : callable
        (kind, value) -> what stands there afterwards, such as `privlab.pseudonyms.Key.token`.
    region : str
        As in `find`.

    Returns
    -------
    str
        The text with ``<kind:token>`` in place of each value.
    """
    parts, end = [], 0
    for span in find(text, region):
        parts += [text[end : span.start], f"<{span.kind}:{token(span.kind, span.value)}>"]
        end = span.end
    return "".join([*parts, text[end:]])


def _cards(text: str) -> Iterator[Span]:
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if luhn.is_valid(digits):
            yield Span(*match.span(), "card", digits)


def _ibans(text: str) -> Iterator[Span]:
    from stdnum import iban

    for match in _IBAN.finditer(text):
        for end in range(match.end(), match.start() + 14, -1):  # a word after it may look like more of it
            if iban.is_valid(text[match.start() : end]) and not text[end : end + 1].isalnum():
                yield Span(match.start(), end, "iban", iban.compact(text[match.start() : end]))
                break


def _emails(text: str) -> Iterator[Span]:
    from email_validator import EmailNotValidError, validate_email

    for match in _EMAIL.finditer(text):
        try:
            known = validate_email(match.group(), check_deliverability=False, test_environment=True)
        except EmailNotValidError:
            continue
        yield Span(*match.span(), "email", known.normalized.lower())


def _phones(text: str, region: str) -> Iterator[Span]:
    import phonenumbers

    for match in phonenumbers.PhoneNumberMatcher(text, region):
        e164 = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
        yield Span(match.start, match.end, "phone", e164)
