"""What was lost on the way in, in order of importance: the list a person reads before trusting a corpus.

Broken rows of examples first, then whole documents, then examples whose numbers cannot be trusted, then what was
skipped on purpose, pictures last.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from slipway.core.material import Change, Dataset
from slipway.data.dedupe import OTHER_NUMBERS
from slipway.data.parsing.ocr import PACKAGES
from slipway.data.reasons import NO_ENDING, explain
from slipway.i18n import t
from slipway.store.store import Store

_SHOWN = 2  # items named for each loss
_ENDINGS = 6  # of skipped files that are named
# The order is that of importance; what is not named here is no loss (it is in `slipway data show --changes`).
_DOCUMENTS = (
    "timeout", "too-much-memory", "parser-crashed", "too-large", "too-much-text", "too-deep", "zip-bomb", "encrypted",
    "corrupt", "unreadable", "wrong-type", "binary", "outside", "not-a-file", "same-name", "empty", "bad-row",
    "missing-text", "ocr-missing", "scanned", "ocr-unsure", "no-result", "hidden",
    "not-as-fetched", "host-failing", "no-answer", "too-slow", "server-error", "bad-certificate",
    "private-address", "robots-unreachable", "http-error",
)  # fmt: skip
_EXAMPLES = (
    "source-missing", "source-dropped", "heading-missing", "section-lost", "section-leak", "question-leak",
    "missing-input", "too-long", "invalid", "contradiction", "missing-answer", "one-label", "label-untrained",
    "label-spelling", "language-not-in-every-split", "slice-not-in-every-split", "missing-group",
)  # fmt: skip
BROKEN = (
    "bad-row",
    "missing-input",
    "too-long",
    "invalid",
)  # rows of examples that a person wrote and nothing measures
_CHOSEN = ("near-duplicate", "too-short", "language")
_DECORATION = frozenset(
    {".png", ".gif", ".jpg", ".jpeg", ".svg", ".ico", ".webp", ".bmp", ".tif", ".tiff", ".css", ".js", ".map", ".woff",
     ".woff2", ".ttf", ".eot", ".mp3", ".mp4", ".webm"}
)  # fmt: skip


class Loss(msgspec.Struct, frozen=True):
    """`count` items with the same reason, some of them by name; what it means and what to do, in the reader's words."""

    reason: str
    count: int
    items: list[str]
    what: str
    how: str


def losses(datasets: Mapping[str, Dataset], store: Store) -> list[Loss]:
    """The losses of documents and examples, the most important first; empty when nothing was lost."""
    changes = {
        name: list(store.blobs.get_lines(dataset.changes, Change)) if dataset.changes else []
        for name, dataset in datasets.items()
    }
    documents, examples = changes.get("documents", []), changes.get("examples", [])
    skipped = [change for change in documents if change.reason == "unsupported-type"]
    found = [*_by_reason(examples, BROKEN), *_by_reason(documents, _DOCUMENTS)]
    found += _by_reason(examples, tuple(reason for reason in _EXAMPLES if reason not in BROKEN))
    found += _by_reason(documents, _CHOSEN)
    found += _by_ending([change for change in skipped if change.detail.lower() not in _DECORATION])
    found += _by_ending([change for change in skipped if change.detail.lower() in _DECORATION])
    return found


def _by_reason(changes: Iterable[Change], reasons: tuple[str, ...]) -> list[Loss]:
    """Losses in the order of the reasons; an item counts once."""
    items: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for change in changes:
        if change.action in ("dropped", "flagged"):
            items[change.reason].setdefault(change.item, change.detail)
    return [
        Loss(reason, len(items[reason]), _named(items[reason], reason), explain(reason), remedy(reason))
        for reason in reasons
        if items[reason]
    ]


def _named(items: Mapping[str, str], reason: str) -> list[str]:
    """The first items; those of examples with the facts, because a line number says little."""
    differ = {item: detail.partition(OTHER_NUMBERS)[1:] for item, detail in items.items()}
    first = sorted(items.items(), key=lambda item: not differ[item[0]][0])[:_SHOWN]
    told = reason in _EXAMPLES or reason == "bad-row"
    named = [f"{item} ({detail[:160]})" if (told and detail) or differ[item][0] else item for item, detail in first]
    more = len(items) - _SHOWN
    return [*named, f"+{more}"] if reason in BROKEN and more > 0 else named


def _by_ending(changes: list[Change]) -> list[Loss]:
    if not changes:
        return []
    endings = Counter(change.detail.lower() for change in changes)
    named = [f"{t('no ending') if ending == NO_ENDING else ending} {n}" for ending, n in endings.most_common(_ENDINGS)]
    more = len(changes) - sum(n for _, n in endings.most_common(_ENDINGS))
    named += [f"+{more}"] if more else []
    decoration = all(ending in _DECORATION for ending in endings)
    what = t("pictures and parts of web pages were skipped") if decoration else explain("unsupported-type")
    how = (
        ""
        if decoration
        else t(
            "convert what holds answers to DOCX, XLSX, PDF, HTML or Markdown, name plain texts .txt, exclude the rest"
        )
    )
    return [Loss("unsupported-type", len(changes), named, what, how)]


def remedy(reason: str) -> str:
    """What to do about a reason, in the language in force; empty when there is nothing to do."""
    return _remedies().get(reason, "")


def _remedies() -> dict[str, str]:
    limits = t("raise the limit under data.limits, or split the file")
    repair = t("open the file, save it again, or exclude it")
    again = t("run `slipway data fetch` again, later or with a longer 'timeout'")
    links = t("correct the field source, or nothing counts as found for this example")
    return {
        "timeout": limits,
        "too-much-memory": limits,
        "too-large": limits,
        "too-much-text": limits,
        "parser-crashed": repair,
        "corrupt": repair,
        "wrong-type": repair,
        "binary": repair,
        "too-deep": repair,
        "zip-bomb": repair,
        "encrypted": t("save it without a password"),
        "unreadable": t("check the rights of the file"),
        "outside": t("list its folder under data.roots"),
        "same-name": t("rename one of the files"),
        "empty": t("exclude pages that hold nothing"),
        "scanned": t("write `ocr: eng` beside their path under data.documents; eng+chi_sim for Chinese, too"),
        "ocr-missing": t("install what reads them: {command}", command=PACKAGES),
        "ocr-unsure": t("read one; scan again at 300 dots an inch, or exclude them"),
        "no-result": t("open the file in a spreadsheet program and save it, which stores the results"),
        "hidden": t("if they hold answers, unhide them and save the file"),
        "bad-row": t("correct the row"),
        "missing-text": t("name the column of the text: text, content or body"),
        "not-as-fetched": t("run `slipway data fetch`"),
        "host-failing": again,
        "no-answer": again,
        "too-slow": again,
        "server-error": again,
        "robots-unreachable": again,
        "bad-certificate": t("for a certificate authority of your own set SSL_CERT_FILE"),
        "private-address": t("if the site is on your own network, list that network under 'addresses'"),
        "http-error": t("tell the owner of the site, or exclude the address"),
        "source-missing": links,
        "source-dropped": t("see why with `slipway data show documents --changes`, or correct the field source"),
        "heading-missing": links,
        "section-lost": t("the whole document counts now; name a section of it, or set clean.near_duplicates: null"),
        "section-leak": t("write data.split: {group_by: source}, so that a section is in one split only"),
        "question-leak": t("give both rows the same `group`, or delete one"),
        "missing-input": t("fill in the input"),
        "too-long": t("shorten it to 100,000 characters or fewer"),
        "invalid": t("correct the row"),
        "contradiction": t("decide which answer is right, or list both in one row"),
        "missing-answer": t("add a reference answer"),
        "one-label": t("add examples of other labels"),
        "label-untrained": t("add examples of this label, or delete these"),
        "label-spelling": t("write the label in one way"),
        "language-not-in-every-split": t("add examples in this language, on other sections"),
        "missing-group": t("fill in the field that data.split.group_by names, such as source, or delete group_by"),
        "slice-not-in-every-split": t("add examples of this kind, on other sections"),
        "near-duplicate": t(
            "compare one pair; exclude what no longer holds, or raise clean.near_duplicates where both do"
        ),
        "too-short": t("lower clean.min_chars if they hold answers"),
        "language": t("add the language to clean.languages if users ask in it"),
    }
