"""Identity numbers of persons by country: their forms, and their check digits where the number has some.

A form that many other numbers share (nine or eleven bare digits, even with a check digit that one in ten passes) counts
only after a word that says what it is. Sources are the issuing authorities' published algorithms, named at each check.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date

Check = Callable[[str], bool]


def luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1, annex B); Canada's SIN and Sweden's personnummer have it too."""
    doubled = (sum(divmod(2 * int(d), 10)) if n % 2 else int(d) for n, d in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def resident_id(number: str) -> bool:
    """The check character of a Chinese resident identity number (GB 11643-1999; ISO 7064 MOD 11-2)."""
    total = sum(int(d) * (2 ** (17 - n) % 11) for n, d in enumerate(number[:17]))
    return "10X98765432"[total % 11] == number[17].upper()


def old_resident_id(number: str) -> bool:
    """A Chinese number of 15 digits, as issued until 1999: no check digit, but a day of birth that exists."""
    return _day(int("19" + number[6:8]), number[8:10], number[10:12])


def hong_kong(number: str) -> bool:
    """Immigration Department: letters count from 10, weights 9 to 1, MOD 11; one letter stands after a space (36)."""
    body, check = number[:-1].upper().rjust(8), number[-1].upper()
    values = [36 if c == " " else int(c, 36) for c in body]
    total = sum(v * w for v, w in zip(values, range(9, 1, -1), strict=True))
    return "0123456789A"[-total % 11] == check


_TAIWAN = {letter: 10 + n for n, letter in enumerate("ABCDEFGHJKLMNPQRSTUVXYWZIO")}


def taiwan(number: str) -> bool:
    """Ministry of the Interior: the letter counts as two digits, weights 1 9 8 ... 1 1, MOD 10."""
    digits = f"{_TAIWAN[number[0].upper()]}{number[1:]}"
    return _weighted(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def singapore(number: str) -> bool:
    """NRIC and FIN: weights 2 7 6 5 4 3 2, MOD 11, an own row of letters for each prefix."""
    first, last = number[0].upper(), number[-1].upper()
    total = _weighted(number[1:-1], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(first, 0)
    if first == "M":
        return "KLJNPQRTUWX"[10 - total % 11] == last
    return ("JZIHGFEDCBA" if first in "ST" else "XWUTRQPNMLK")[total % 11] == last


def spain(number: str) -> bool:
    """DNI and NIE: the rest of the division by 23 chooses the letter."""
    digits = str("XYZ".find(number[0].upper())) + number[1:-1] if number[0].isalpha() else number[:-1]
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == number[-1].upper()


_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def italy(code: str) -> bool:
    """Codice fiscale (D.M. 23/12/1976): characters at odd places by a table, MOD 26."""
    code = code.upper()
    even = sum(int(c) if c.isdigit() else ord(c) - 65 for c in code[1:15:2])
    return chr(65 + (even + sum(_ODD[c] for c in code[0:15:2])) % 26) == code[15]


def france(number: str) -> bool:
    """NIR (INSEE): the key is 97 minus the rest of the number by 97; Corsica's 2A and 2B count as 19 and 18."""
    body = number[:-2].upper().replace("2A", "19").replace("2B", "18")
    return body.isdigit() and 97 - int(body) % 97 == int(number[-2:])


def belgium(number: str) -> bool:
    """Rijksregisternummer: 97 minus the rest by 97, with a 2 in front for those born from 2000 on."""
    body, check = number[:9], int(number[9:])
    return check in (97 - int(body) % 97, 97 - int("2" + body) % 97)


def sweden(number: str) -> bool:
    """Personnummer (Skatteverket): a day of birth (a coordination number adds 60), and Luhn over ten digits."""
    digits = number[-10:]
    return _day(2000 + int(digits[:2]), digits[2:4], f"{int(digits[4:6]) % 60:02}") and luhn(digits)


def finland(number: str) -> bool:
    """Henkilotunnus (DVV): the nine digits by 31 choose the last character."""
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(number[:6] + number[7:10]) % 31] == number[10].upper()


def korea(number: str) -> bool:
    """Resident registration number: since 2020 without a check digit; the day of birth must exist."""
    century = 1900 if number[6] in "1256" else 2000
    return _day(century + int(number[:2]), number[2:4], number[4:6])


def brazil(number: str) -> bool:
    """CPF (Receita Federal): two check digits, MOD 11; one digit eleven times is none."""
    for length in (9, 10):
        total = _weighted(number[:length], range(length + 1, 1, -1))
        if (total * 10 % 11) % 10 != int(number[length]):
            return False
    return len(set(number)) > 1


_D5 = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
       (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
       (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
       (9, 8, 7, 6, 5, 4, 3, 2, 1, 0))  # fmt: skip
_MOVED = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def aadhaar(number: str) -> bool:
    """India's Aadhaar: Verhoeff's check digit (Verhoeff 1969)."""
    total = 0
    for place, character in enumerate(reversed(number)):
        digit = int(character)
        for _ in range(place % 8):
            digit = _MOVED[digit]
        total = _D5[total][digit]
    return total == 0


def nhs(number: str) -> bool:
    """NHS number: weights 10 to 2, MOD 11; a check of 10 is never issued."""
    return _weighted(number[:9], range(10, 1, -1)) % 11 == (11 - int(number[9])) % 11


def germany(number: str) -> bool:
    """Steuer-Identifikationsnummer: ISO 7064 MOD 11,10."""
    product = 10
    for digit in number[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(number[10])


def poland(number: str) -> bool:
    """PESEL: weights 1 3 7 9, MOD 10."""
    return _weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def netherlands(number: str) -> bool:
    """BSN, the test by eleven: weights 9 to 2, and -1."""
    return _weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def japan(number: str) -> bool:
    """My Number (Ministry of Internal Affairs): weights 6 5 4 3 2 7 6 5 4 3 2, MOD 11."""
    rest = _weighted(number[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == int(number[11])


def australia(number: str) -> bool:
    """Tax file number: weights 1 4 3 7 5 8 6 9 10, MOD 11."""
    return _weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def south_africa(number: str) -> bool:
    """Identity number: a day of birth, and Luhn."""
    return _day(2000 + int(number[:2]), number[2:4], number[4:6]) and luhn(number)


def _weighted(digits: str, weights: Sequence[int] | range) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=True))


def _day(year: int, month: str, day: str) -> bool:
    try:
        date(year, int(month), int(day))
    except ValueError:
        return (month, day) == ("02", "29")  # of a year whose century is not known
    return True


_B, _A = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
_DIGIT = r"(?:[ .-]?\d)"

# Forms that stand for themselves: (form, check). What is checked has neither spaces nor punctuation.
FORMS: tuple[tuple[str, Check | None], ...] = (
    (rf"{_B}[STFGMstfgm]\d{{7}}[A-Za-z]{_A}", singapore),
    (rf"{_B}[A-Za-z]{{1,2}}\d{{6}} ?\([0-9Aa]\)", hong_kong),
    (rf"{_B}(?:\d{{8}}|[XYZxyz]-?\d{{7}})-?[A-Za-z]{_A}", spain),
    (rf"{_B}[A-Za-z]{{6}}\d{{2}}[A-EHLMPR-Ta-ehlmpr-t]\d{{2}}[A-Za-z]\d{{3}}[A-Za-z]{_A}", italy),
    (rf"{_B}[12][ .]?\d{{2}}[ .]?(?:0[1-9]|1[0-2]|[2-9]\d)[ .]?(?:\d{{2}}|2[ABab])(?:[ .]?\d{{3}}){{2}}[ .]?\d\d{_A}",
     france),
    (rf"{_B}\d{{2}}\.\d{{2}}\.\d{{2}}-\d{{3}}\.\d{{2}}{_A}", belgium),
    (rf"{_B}(?<![\d-]-)(?:19|20)?\d{{6}}[-+]\d{{4}}{_A}(?!-\d)", sweden),
    (rf"{_B}(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{{2}}[-+AaBCDEFU-Y]\d{{3}}[0-9A-FHJ-NPR-Y]{_A}", finland),
    (rf"{_B}\d{{6}}-[1-8]\d{{6}}{_A}", korea),
    (rf"{_B}\d{{3}}\.\d{{3}}\.\d{{3}}-\d{{2}}{_A}", brazil),
    # The United Kingdom's National Insurance number has no check digit, but letters that are never issued.
    (rf"{_B}(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]{_A}", None),
)  # fmt: skip

# Forms that other numbers share: (words before it, Chinese ones simplified; form; check).
LABELLED: tuple[tuple[str, str, Check | None], ...] = (
    (r"身份证|公民身份", rf"\d{{15}}{_A}", old_resident_id),
    (r"身份证|hkid|\bid\b", rf"[A-Za-z]{{1,2}}\d{{6}}[0-9Aa]{_A}", hong_kong),
    (r"身[份分]证|\bid\b|identity", rf"[A-Za-z][1289]\d{{8}}{_A}", taiwan),
    (r"aadhaar", rf"[2-9]{_DIGIT}{{11}}{_A}", aadhaar),
    (r"\bnhs\b", rf"\d{_DIGIT}{{9}}{_A}", nhs),
    (r"\bsin\b|social insurance", rf"\d{_DIGIT}{{8}}{_A}", luhn),
    (r"steuer|\btax id", rf"[1-9]{_DIGIT}{{10}}{_A}", germany),
    (r"pesel", rf"\d{{11}}{_A}", poland),
    (r"\bbsn\b|burgerservice", rf"\d{_DIGIT}{{8}}{_A}", netherlands),
    (r"\bcpf\b", rf"\d{_DIGIT}{{10}}{_A}", brazil),
    (r"my ?number|\u30de\u30a4\u30ca\u30f3\u30d0\u30fc|个人番号", rf"\d{_DIGIT}{{11}}{_A}", japan),
    (r"\btfn\b|tax file", rf"\d{_DIGIT}{{8}}{_A}", australia),
    (r"\bid\b|identity", rf"\d{{13}}{_A}", south_africa),
)  # fmt: skip


def bare(number: str) -> str:
    """A number without spaces and punctuation."""
    return re.sub(r"[^A-Za-z0-9]", "", number)
