"""Secrets in text: our own (the keys Slipway was given) and those of known shapes. They are replaced by `[secret]`.

`Own` holds the values themselves, in the forms in which they could be said again. `scrub` knows shapes. Most texts hold
no long run of letters and digits and no label such as `password=`, which `suspicious` tells in two microseconds for
2 KB; only the others are searched. Every pattern reads a text in time linear in its length.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

SECRET = "[secret]"
SHORTEST = 8
"""Characters that a value of our own must have: shorter ones (`EMPTY`, `none`) are no secrets but words."""

_START = r"(?<![A-Za-z0-9])"  # not \b, for which a Chinese character before a key would belong to it
_PREFIXES = (  # of keys that are told by it and by their length; a digit is asked for, so that no long name is one
    "npm_", "pypi-", "dop_v1_", "hvs.", "hvb.", "shpat_", "shpss_", "gsk_", "xai-", "lin_api_", "r8_", "pplx-", "pcsk_",
    "ntn_", "secret_", "whsec_", "PMAK-", "NRAK-", "glsa_", "glc_", "ATATT3", "ATBB", "figd_", "sntrys_", "sntryu_",
    "sbp_", "sq0atp-", "sq0csp-", "HRKU-", "tvly-", "nvapi-", "fw_", "dckr_pat_", "AKLT", "EAACEdEose0cBA", "jina_",
    "lsv2_",
)  # fmt: skip
_RULES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("sk-",), _START + r"sk-(?=[A-Za-z_-]{0,100}+[0-9])[A-Za-z0-9_-]{20,}+"),  # OpenAI, Anthropic, our own, others
    (("AKIA", "ASIA"), _START + r"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])"),  # AWS
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), _START + r"gh[pousr]_[A-Za-z0-9]{30,}+"),  # GitHub
    (("github_pat_",), _START + r"github_pat_[A-Za-z0-9_]{22,}+"),
    (("glpat-",), _START + r"glpat-[A-Za-z0-9_-]{20,}+"),  # GitLab
    (("xox", "xapp-"), _START + r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}+"),  # Slack
    (("AIza",), _START + r"AIza[A-Za-z0-9_-]{35}"),  # Google
    (("ya29.", "GOCSPX-"), _START + r"(?:ya29\.|GOCSPX-)[A-Za-z0-9_-]{20,}+"),
    (("hf_",), _START + r"hf_[A-Za-z0-9]{30,}+"),  # Hugging Face
    (("k_live_", "k_test_"), _START + r"[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}+"),  # Stripe
    (("LTAI", "AKID"), _START + r"(?:LTAI[A-Za-z0-9]{12,30}|AKID[A-Za-z0-9]{32})(?![A-Za-z0-9])"),  # Aliyun, Tencent
    (("SG.",), _START + r"SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+"),  # SendGrid
    *(((prefix,), _START + re.escape(prefix) + r"(?=[A-Za-z_-]{0,100}+[0-9])[A-Za-z0-9_-]{22,}+")
      for prefix in _PREFIXES),
    (("dapi", "SK", "key-"),  # Databricks, Twilio, Mailgun
     _START + r"(?:dapi|SK|key-)[0-9a-f]{32}(?:-\d)?(?![A-Za-z0-9])"),
    (("AGE-SECRET-KEY-1",), _START + r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    ((".",), _START + r"[0-9a-f]{32}\.[A-Za-z0-9]{16}(?![A-Za-z0-9])"),  # Zhipu
    (("hooks.slack.com/", "/bot/v2/hook/", "/webhook/send?key="),  # whoever knows the address may write
     r"(?:hooks\.slack\.com/(?:services|workflows)/|/bot/v2/hook/|/webhook/send\?key=)[A-Za-z0-9/_-]{20,}+"),
    ((":AA",), r"(?<![A-Za-z0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),  # Telegram
    (("AccountKey=",), r"(?<=AccountKey=)[A-Za-z0-9+/]{40,}+={0,2}"),  # Azure
    (("eyJ",), r"(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]++){0,3}"),  # JWT, JWE
    (("PRIVATE KEY",), r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY[A-Z ]{0,10}-----(?:[^-]|-(?!----))*+"
                       r"(?:-----END [A-Z0-9 ]{0,50}-----)?"),
)  # fmt: skip
_LABELLED: tuple[tuple[tuple[str, ...], str], ...] = (  # these keep what stands before the secret; any case
    (("bearer",), r"(?i)((?<![a-z])bearer\s{1,4})(?=[a-z._~+/-]{0,200}+[0-9])[a-z0-9._~+/-]{16,}+=*+"),
    (("basic",), r"(?i)(authorization['\"]?\s{0,4}[:=]\s{0,4}['\"]?basic\s{1,4})[a-z0-9+/]{8,}+=*+"),
    (("password=", "pwd=", "passwd="), r"(?i)((?<![a-z])(?:password|passwd|pwd)=)(?!\[secret\])[^\s;&\"'<>]{4,200}"),
    (
        ("password", "passwd", "pwd"),
        r"(?i)((?<![a-z])(?:password|passwd|pwd)(?:['\"]?\s{0,4}[:=]\s{0,4}['\"]?| is:? ))"
        r"(?!\[secret\])(?=[!-/:-~]{0,100}+[0-9])[!-~]{6,200}",
    ),
    (
        ("api_key", "apikey", "api-key", "api key"),
        r"(?i)(api[ _-]?key(?:['\"]?\s{0,4}[:=]\s{0,4}['\"]?| is:? ))(?=[a-z_-]{0,100}+[0-9])[a-z0-9_-]{16,200}",
    ),
    (
        ("token", "secret"),
        r"(?i)((?<![a-z])(?:access_?|auth_?|refresh_?|client_?|bot_?)?(?:token|secret)"
        r"(?:['\"]?\s{0,4}[:=]\s{0,4}['\"]?| is:? ))(?=[a-z_-]{0,100}+[0-9])[a-z0-9_-]{20,200}",
    ),
    (
        ("密码", "口令", "密碼"),
        r"((?:密码|口令|密碼)(?:是|为|為)?\s{0,4}[:：=]\s{0,4}|(?:密码|口令|密碼)[是为為]\s{0,4})"
        r"(?!\[secret\])[!-~]{6,200}",
    ),
    (("secret_access_key",), r"(?i)(secret_access_key['\"]?\s{0,4}[:=]\s{0,4}['\"]?)[a-z0-9+/]{40}(?![a-z0-9+/])"),
    (("://",), r"(://[^\s/:@\"'<>]{0,100}:)(?!\[secret\])[^\s/@\"'<>]{1,200}(?=@)"),
)
_PATTERNS = [(literals, re.compile(pattern), SECRET) for literals, pattern in _RULES]
_PATTERNS_LABELLED = [(literals, re.compile(pattern), r"\g<1>" + SECRET) for literals, pattern in _LABELLED]
_CHINESE = ("密码", "口令", "密碼")  # words for a password
_LABELS = ("password", "passwd", "pwd", "accountkey=", "_access_key", "basic ")  # before what is shorter than `_RUN`
_RUN = b"a" * 16
_TOKEN = bytes.maketrans(  # what can stand in a key -> `a`, all else -> space
    bytes(range(256)),
    bytes(0x61 if code < 128 and (chr(code).isalnum() or code in b"-_") else 0x20 for code in range(256)),
)


def suspicious(text: str) -> bool:
    """Whether a secret of a known shape can stand in `text`; False is certain."""
    if _dense(text) or ("://" in text and "@" in text) or any(label in text for label in _CHINESE):
        return True
    low = text.lower()
    return any(label in low for label in _LABELS)


def _dense(text: str) -> bool:
    """Whether there is a run of 16 letters, digits, hyphens or underscores, as every key without a label has."""
    return _RUN in text.encode("utf-8", "surrogatepass").translate(_TOKEN)


def scrub(text: str) -> str:
    """`text` without secrets of known shapes; the same text again changes nothing."""
    if not suspicious(text):
        return text
    for literals, pattern, instead in _PATTERNS:
        if any(literal in text for literal in literals):
            text = pattern.sub(instead, text)
    low = text.lower()
    for literals, pattern, instead in _PATTERNS_LABELLED:
        if any(literal in low for literal in literals):
            text = pattern.sub(instead, text)
    return text


class Own:
    """The secrets that Slipway itself was given, and the forms in which somebody could say them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._forms: tuple[str, ...] = ()
        self.all_dense = True  # where `suspicious` sees nothing, there is none of these either
        self.learn(values)

    def __bool__(self) -> bool:
        return bool(self._forms)

    def learn(self, values: Iterable[str]) -> None:
        """More secrets."""
        new = {value for value in values if len(value) >= SHORTEST} - self._known
        if new:
            self._known |= new
            forms = {form for value in self._known for form in _forms(value)}
            self._forms = tuple(sorted(forms, key=len, reverse=True))
            self.all_dense = all(_dense(form) for form in forms)

    def within(self, text: str) -> bool:
        """Whether a form of a secret stands in `text`."""
        return any(form in text for form in self._forms)

    def scrub(self, text: str) -> str:
        """`text` without any of them."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, SECRET)
        return text

    def begun(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a secret that goes on."""
        longest = 0
        for form in self._forms:
            first = form[0]
            at = text.find(first, max(0, len(text) - len(form) + 1))
            while at != -1 and len(text) - at > longest:
                if form.startswith(text[at:]):
                    longest = len(text) - at
                    break
                at = text.find(first, at + 1)
        return longest


def _forms(value: str) -> set[str]:
    """As it is, in a URL, in the escapes of JSON, and in base64 wherever it begins there."""
    raw = value.encode()
    found = {value, quote(value, safe=""), json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + raw)
        sure = whole[(0, 2, 3)[shift] : len(whole) - (0, 4, 3)[(shift + len(raw)) % 3]].decode()
        if len(sure) >= 2 * SHORTEST:  # the few characters that its neighbours decide are left out
            found |= {sure, sure.replace("+", "-").replace("/", "_")}
    return found


_NAMED = re.compile(r"(?i)(?:^|[_-])(?:api_?key|key|token|secret|password|passwd|credentials?)(?:$|[_-])")
_VARIABLE = re.compile(r"(?:^|_)(?:API_?KEY|ACCESS_?KEY|TOKEN|SECRET|PASSWORD|PASSWD)(?:$|_)")


def named(options: Mapping[str, Any]) -> list[str]:
    """The secrets that an engine's options name: `api_key_env: VAR`, `token_file: PATH`, `headers: {x-api-key: K}`."""
    found: list[str] = []
    for key, value in options.items():
        if isinstance(value, Mapping):
            found += named(value)
        elif isinstance(value, str) and value and _NAMED.search(key):
            found += _read(key, value)
    return [value for value in found if value]


def _read(key: str, value: str) -> list[str]:
    if key.endswith("_env"):
        return [os.environ.get(value, "").strip()]
    if key.endswith("_file"):
        try:
            return [Path(value).expanduser().read_text("utf-8").strip()]
        except (OSError, UnicodeDecodeError):
            return []  # the engine says so, and does not start
    return [value]


def of_environment() -> list[str]:
    """Values of variables whose names say that they are secrets, when they are long enough to be some."""
    return [value for name, value in os.environ.items() if _VARIABLE.search(name) and len(value) >= 2 * SHORTEST]
