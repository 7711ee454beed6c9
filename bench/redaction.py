"""How well personal data is found, by kind: on presidio-research's synthetic texts, on sentences of our own in English
and Chinese with look-alikes that must stay, side by side with presidio's pattern recognisers; and what redaction costs.

    python bench/redaction.py DATASET.json [--missed] [--presidio PYTHON]

DATASET.json is synth_dataset_v2.json of microsoft/presidio-research (MIT): 1,500 texts with names and addresses, which
have no form and are left out here, and with kinds that have one. A finding counts when it overlaps a labelled span of
its kind. Phone numbers there are in many countries' national formats. Intervals: 95%, Clopper and Pearson 1934.
`--presidio`: a Python that has presidio-analyzer (no model is loaded); its recognisers by pattern are asked one by one,
without the bonus that its engine gives to words nearby, and of what they find all counts (`any`), or a score of 0.4
and more. `--missed` lists what was missed and what was wrongly found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import beta

from slipway.privacy import personal
from slipway.privacy.redact import Redactor

KINDS = {"EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban",
         "IP_ADDRESS": "ip", "US_SSN": "ssn"}  # fmt: skip


Spans = Sequence[tuple[str, int, int]]

# Sentences of our own: {} is filled with each value of its kind; those without a kind hold nothing.
FRAMES = ("我的{kind}是{value}，请更新。", "{kind}：{value}", "请把{value}登记为我的{kind}", "（{kind}{value}）")
AUTHORED: dict[str, tuple[str, tuple[str, ...]]] = {
    "phone": (
        "手机号",
        (
            "13912345678",
            "139 1234 5678",
            "１３９１２３４５６７８",
            "+86-139-1234-5678",
            "一三九一二三四五六七八",
            "010-85261234",
            "（0755）8852-1234",
        ),
    ),
    "email": (
        "邮箱",
        (
            "li.wei@example.cn",
            "ｌｉ＠ｅｘａｍｐｌｅ．ｃｎ",
            "wang_98@mail.example.com.cn",
            "zhao@例子.中国",
        ),
    ),
    "id": (
        "身份证号",
        (
            "11010519491231002X",
            "110105 19491231 002X",
            "１１０１０５１９４９１２３１００２Ｘ",
            "440524188001010014",
            "110105-1949-12-31-002x",
            "A123456(3)",
            "A123456789",
        ),
    ),
    "card": (
        "银行卡号",
        (
            "6222021234567890128",
            "6222 0212 3456 7890 128",
            "4111-1111-1111-1111",
        ),
    ),
    "passport": (
        "护照号",
        (
            "E12345678",
            "EA1234567",
            "Ｇ１２３４５６７８",
        ),
    ),
    "plate": (
        "车牌",
        (
            "京A12345",
            "粤B·D12345",
            "沪AF01234",
        ),
    ),
    "ip": (
        "IP地址",
        (
            "203.0.113.77",
            "2001:db8:85a3::8a2e:370:7334",
        ),
    ),
}
STAYS = (
    "订单号20261128000123456已发货",
    "订单编号 13912345678 查不到",
    "版本1.2.3.4修复了问题",
    "发票号码 04400192",
    "ISBN 978-7-111-54742-6",
    "会议在2026-11-28 10:30:00开始",
    "共计1,234,567.89元",
    "本月访问量13012345次",
    "第110105194912310021号文件",
    "库存为61234567件",
    "流水号6222021234567890123",
    "运单号SF1234567890123",
    "从1998年到2026年",
    "端口8080，地址127.0.0.1",
    "型号A123456-3",
    "圆周率3.14159265358979",
    "邮政编码100084",
    "编号为S1234567A的零件",
    "气温-12.5到36.6度",
    "上午10:20:30:40",
    "京都A级景点12345个",
    "一二三四五六七",
    "GB 11643-1999标准",
    "Order 4111111111111112 was lost",
    "build 10.0.19041.1",
    "part no. 212-555-0143",
    "2026-11-24T14:42:14.123456Z",
    "3 x 120-45-6789-0001",
    "p = 0.0123, n = 12345678",
    "commit 0123456789abcdef0123456789abcdef01234567",
    "ISBN 0-306-40615-2",
    "chapter 12.34.56.78.90",
)


def authored() -> list[dict[str, Any]]:
    """The sentences in the form of the data set."""
    texts: list[dict[str, Any]] = [{"full_text": text, "spans": []} for text in STAYS]
    for kind, (word, values) in AUTHORED.items():
        for value in values:
            for frame in FRAMES:
                text = frame.format(kind=word, value=value)
                at = text.index(value)
                span = {"entity_type": kind, "start_position": at, "end_position": at + len(value)}
                texts.append({"full_text": text, "spans": [span]})
    return texts


def ours(text: str) -> Spans:
    """What the project finds."""
    return [(one.kind, one.start, one.end) for one in personal.find(text)]


def measure(
    texts: list[dict[str, Any]], find: Callable[[str], Spans] = ours
) -> tuple[dict[str, Counter[str]], list[str]]:
    """Counts by kind (found, missed, wrong), and each mistake in words."""
    counts: dict[str, Counter[str]] = {}
    mistakes: list[str] = []
    for one in texts:
        text: str = one["full_text"]
        spans = [(KINDS.get(str(s["entity_type"])) or str(s["entity_type"]), s) for s in one["spans"]]
        labels = [
            (kind, s["start_position"], s["end_position"])
            for kind, s in spans
            if kind in AUTHORED or kind in KINDS.values()
        ]
        found = find(text)
        for kind, start, end in labels:
            hit = any(k == kind and s < end and e > start for k, s, e in found)
            counts.setdefault(kind, Counter())["found" if hit else "missed"] += 1
            if not hit:
                mistakes.append(f"missed {kind}: {text[start:end]!r}")
        for k, s, e in found:
            if not any(k == kind and s < end and e > start for kind, start, end in labels):
                counts.setdefault(k, Counter())["wrong"] += 1
                mistakes.append(f"wrong {k}: {text[s:e]!r} in {text[max(0, s - 30) : e + 20]!r}")
    return counts, mistakes


PRESIDIO = """
import json, sys
from presidio_analyzer import predefined_recognizers as known
kinds = {"EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban",
         "IP_ADDRESS": "ip", "US_SSN": "ssn", "MAC_ADDRESS": "mac"}
asked = [known.EmailRecognizer(), known.PhoneRecognizer(), known.CreditCardRecognizer(),
         known.IbanRecognizer(), known.IpRecognizer(), known.UsSsnRecognizer()]
out = []
for text in json.load(sys.stdin):
    found = []
    for one in asked:
        for r in one.analyze(text, one.supported_entities, None) or []:
            found.append([kinds[r.entity_type], r.start, r.end, r.score])
    out.append(found)
json.dump(out, sys.stdout)
"""


def presidio(python: str, texts: list[dict[str, Any]], least: float) -> Callable[[str], Spans]:
    """What presidio's recognisers by pattern find, with at least this score; one child process for all texts."""
    whole = [one["full_text"] for one in texts]
    done = subprocess.run(
        [python, "-c", PRESIDIO], input=json.dumps(whole), capture_output=True, text=True, check=True, timeout=1800
    )
    found = {text: [(k, s, e) for k, s, e, score in spans if score >= least]
             for text, spans in zip(whole, json.loads(done.stdout), strict=True)}  # fmt: skip
    return lambda text: found[text]


def share(n: int, of: int) -> str:
    """A share with its interval."""
    if not of:
        return "-"
    low = beta.ppf(0.025, n, of - n + 1) if n else 0.0
    high = beta.ppf(0.975, n + 1, of - n) if n < of else 1.0
    return f"{n / of:.3f} [{low:.2f}, {high:.2f}]"


def table(title: str, counts: dict[str, Counter[str]]) -> None:
    """Precision and recall by kind."""
    print(f"\n{title}\n{'kind':10}{'labelled':>9}  {'recall':22}{'precision':22}")
    for kind, n in sorted(counts.items()):
        labelled, said = n["found"] + n["missed"], n["found"] + n["wrong"]
        print(f"{kind:10}{labelled:>9}  {share(n['found'], labelled):22}{share(n['found'], said):22}")


def cost(mode: str, text: str, times: int = 500) -> float:
    """CPU microseconds to redact a text."""
    redactor = Redactor(mode, salt=b"bench")  # type: ignore[arg-type]
    redactor.text(text)
    began = time.process_time()
    for _ in range(times):
        redactor.text(text)
    return (time.process_time() - began) / times * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--missed", action="store_true")
    parser.add_argument("--presidio", metavar="PYTHON", default="")
    args = parser.parse_args()
    texts = json.loads(args.dataset.read_text("utf-8"))
    for name, those in (("presidio-research", texts), ("authored, Chinese and look-alikes", authored())):
        counts, mistakes = measure(those)
        table(f"{name}: slipway", counts)
        if args.missed:
            print("\n".join(sorted(mistakes)))
        for least in (0.0, 0.4) if args.presidio else ():
            table(f"{name}: presidio, score >= {least}", measure(those, presidio(args.presidio, those, least))[0])
    prose = ("The gate compares candidates on the same examples and decides with a margin. " * 30)[:2048]
    dense = (" ".join(t["full_text"] for t in texts[:60]))[:2048]
    for name, text in (("prose", prose), ("full of names and numbers", dense)):
        shown = ", ".join(f"{mode} {cost(mode, text):.0f}" for mode in ("off", "mask", "hash"))
        print(f"CPU us for 2 KB of {name}: {shown}")


if __name__ == "__main__":
    main()
