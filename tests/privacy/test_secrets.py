from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.privacy import secrets
from slipway.privacy.secrets import SECRET, Own

R = "A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6S7t8U9v0"  # no key of anybody
PEM = f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{R}\n{R}==\n-----END RSA PRIVATE KEY-----"
KNOWN = {
    "openai": f"sk-proj-{R}", "old openai": f"sk-{R}", "anthropic": f"sk-ant-api03-{R}-{R}", "ours": f"sk-slipway-0123456789ab-{R}",
    "aws": "AKIA" + "ABCDEFGH23456723", "github": f"ghp_{R[:36]}", "github fine-grained": f"github_pat_{R[:22]}_{R}",
    "gitlab": f"glpat-{R[:20]}", "slack": f"xoxb-123456789012-{R[:24]}", "google": f"AIza{R[:35]}", "google oauth": f"ya29.{R}",
    "hugging face": f"hf_{R[:34]}", "stripe": f"sk_live_{R[:24]}", "aliyun": f"LTAI{R[:20]}",
    "perplexity": f"pplx-{R}", "pinecone": f"pcsk_{R}", "databricks": "dapi" + "0123456789abcdef" * 2, "notion": f"ntn_{R}",
    "volcengine": f"AKLT{R}", "zhipu": "0123456789abcdef" * 2 + "." + R[:16], "grafana": f"glsa_{R}", "atlassian": f"ATATT3{R}",
    "figma": f"figd_{R}", "nvidia": f"nvapi-{R}", "tavily": f"tvly-{R}", "docker": f"dckr_pat_{R}", "twilio": "SK" + "0123456789abcdef" * 2,
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{R}.{R}", "pem": PEM, "pem without its end": PEM[:90],
}  # fmt: skip


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize(
    "around", ["{}", "key={}", "the key is {}.", "密钥是{}，请保密", '{{"k":"{}"}}', "a\n{}\nb", "({})", "x:{};y"]
)
def test_secrets_of_known_shapes_go(kind: str, around: str) -> None:
    secret = KNOWN[kind]
    made = secrets.scrub(around.format(secret))
    assert SECRET in made
    assert R[:8] not in made
    assert secret[-8:] not in made or kind == "pem without its end"
    if not kind.startswith("pem"):
        assert made == around.format(SECRET)


@pytest.mark.parametrize(("text", "made"), [
    ("Authorization: Bearer abc123def456ghi789", f"Authorization: Bearer {SECRET}"),
    ("authorization: basic dXNlcjpwYXNzd29yZA==", f"authorization: basic {SECRET}"),
    ("postgresql://app:hunter22@db.local:5432/x", f"postgresql://app:{SECRET}@db.local:5432/x"),
    ("redis://:hunter22@cache/0", f"redis://:{SECRET}@cache/0"),
    ("Server=db;User Id=sa;Password=hunter22;", f"Server=db;User Id=sa;Password={SECRET};"),
    ("aws_secret_access_key = " + R, f"aws_secret_access_key = {SECRET}"),
    ("password: hunter22hunter", f"password: {SECRET}"), ("my password is hunter2!x", f"my password is {SECRET}"),
    ("token=" + R, f"token={SECRET}"), ("my API key is " + R, f"my API key is {SECRET}"), ('"client_secret": "' + R + '"', f'"client_secret": "{SECRET}"'),
    ("AccountKey=" + R + R + "==", f"AccountKey={SECRET}"), ("pwd: hunter22", f"pwd: {SECRET}"),
    ("my pwd is hunter2!x", f"my pwd is {SECRET}"), ("PASSWD: hunter22", f"PASSWD: {SECRET}"),
])  # fmt: skip
def test_labelled_secrets_leave_their_label(text: str, made: str) -> None:
    assert secrets.scrub(text) == made
    assert secrets.scrub(made) == made


@pytest.mark.parametrize("text", [
    "pip install sk-learn-based-classification-of-documents", "the task-oriented-dialogue-system paper",
    "4bf92f3577b34da6a3ce929d0e0e4736", "sha256 " + "0123456789abcdef" * 4, "see https://example.org/a/very-long-path-to-some-page",
    "the bearer of this letter", "bearer authentication-schemes-are-described-there", "password: at least 8 characters",
    "mail me@example.org or https://example.org/@me", "the hf_hub_download function", "an xoxo from me", "eyJ is how a JWT begins",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "the password is required", "password is at least 8 characters long",
    "max_tokens: 2048", "token: the-name-of-a-very-long-parameter", "the secret is kept in a file", "SKU 0123456789abcdef", "key-value-store",
    "ratio 3:4 at http://host:80/x", "龙骨重七吨。",
])  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert secrets.scrub(text) == text


@pytest.mark.parametrize("kind", [*KNOWN, "labelled"])
def test_the_first_look_overlooks_nothing(kind: str) -> None:
    for text in (
        [KNOWN[kind]] if kind in KNOWN else ["Password=hunter22", "a://b:hunter22@c", "authorization: basic YTpiYzEy"]
    ):
        assert secrets.suspicious(f"it is {text}。")


@pytest.mark.parametrize("piece", [
    "sk-", "eyJ", "eyJa.", "a" * 70 + "@", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "bearer ", "xoxb-", "://a:", "password=",
    "AKIA", "github_pat_", "sk-a_", "https://a", "basic ", "authorization: basic", "glpat-", "ya29.", "-", "LTAI", "password is ", "token=", "api key is ", "pplx-", "0123456789abcdef.",
])  # fmt: skip
def test_hostile_repetition_costs_linear_time(piece: str) -> None:
    text = piece * (400_000 // len(piece)) + "="
    began = time.process_time()
    secrets.scrub(text)
    assert time.process_time() - began < 2.0


OWN = "Zq7-mySecretKeyOfTheUpstream_01234"


@pytest.mark.parametrize("said", [
    OWN, quote(OWN, safe=""), json.dumps(OWN)[1:-1], *(base64.b64encode(b"x" * n + OWN.encode() + b"yz").decode() for n in range(6)),
    base64.urlsafe_b64encode(OWN.encode()).decode(),
])  # fmt: skip
def test_our_own_go_in_every_form(said: str) -> None:
    own = Own([OWN])
    made = own.scrub(f"your key is {said}!")
    assert SECRET in made
    assert OWN[4:20] not in made
    for word in made.split():  # and what is left decodes to no more than a few characters of it
        assert said == OWN or len(word) < len(said)


def test_our_own_with_odd_characters() -> None:
    odd = 'p"a\\ss wörd/1+2=3'
    own = Own([odd])
    for said in (odd, json.dumps(odd)[1:-1], quote(odd, safe=""), base64.b64encode(odd.encode()).decode()):
        assert own.scrub(f"<{said}>").startswith(f"<{SECRET}"), said


def test_words_are_no_secrets() -> None:
    own = Own(["EMPTY", "none", ""])
    assert not own
    assert own.scrub("EMPTY none") == "EMPTY none"


@given(st.text(alphabet="abZq7-my", max_size=20), st.integers(0, len(OWN)))
def test_a_beginning_at_the_end_is_seen(before: str, cut: int) -> None:
    own = Own([OWN])
    text = before + OWN[:cut]
    assert own.begun(text) >= (cut if cut < len(OWN) else 0)


def test_what_options_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", "from-the-environment")
    (tmp_path / "key").write_text("from-a-file-1\n")
    options = {"api_key_env": "UPSTREAM_KEY", "api_key_file": str(tmp_path / "key"), "model": "m", "max_tokens_field": "max_tokens",
               "headers": {"x-api-key": "from-a-header", "x-team": "search"}, "tokenize": "vllm"}  # fmt: skip
    assert set(secrets.named(options)) >= {"from-the-environment", "from-a-file-1", "from-a-header"}
    assert not {"m", "search", "vllm"} & set(secrets.named(options))
    monkeypatch.setenv("SOME_API_KEY", "0123456789abcdef0123")
    monkeypatch.setenv("KEYBOARD", "a-layout-with-many-characters")
    assert "0123456789abcdef0123" in secrets.of_environment()
    assert "a-layout-with-many-characters" not in secrets.of_environment()
