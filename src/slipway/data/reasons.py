"""Why an item was dropped, changed or flagged: the stable codes, and what each means in the reader's language.

`Change.reason` is one of these codes. `Change.detail` is data (sizes, names, counts) and stays English, so that the
digest of a dataset does not depend on who made it; what a code means is said here, when it is shown.
"""

from __future__ import annotations

from slipway.i18n import t

NO_ENDING = "no ending"  # the detail of a file of an unknown kind whose name has none


class Refused(Exception):  # noqa: N818  (not an error of ours: the document is refused, the rest goes on)
    """One document, or one row, cannot be used. `reason` is a code below, `detail` the facts."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def explain(reason: str) -> str:
    """What a reason code means, in the language in force; the code itself when it is none of ours."""
    found = _files().get(reason) or _fetched().get(reason) or _texts().get(reason) or _examples().get(reason)
    return found or reason


def _files() -> dict[str, str]:
    return {
        "outside": t("a link leads out of the project; list its folder under data.roots to read it"),
        "not-a-file": t("it is a pipe, a device or a socket, not a file"),
        "same-name": t("another file has the same name but for invisible or composed characters; rename one"),
        "unsupported-type": t("Slipway cannot read this kind of file"),
        "wrong-type": t("the content is not what the file's ending says"),
        "too-large": t("the file is larger than data.limits.max_file"),
        "too-much-text": t("the file holds more text than data.limits.max_text"),
        "zip-bomb": t("the file unpacks to far more than its size"),
        "too-deep": t("the file is nested too deeply to be a document"),
        "too-much-memory": t("parsing needed more memory than data.limits.max_memory"),
        "timeout": t("parsing took longer than data.limits.timeout"),
        "parser-crashed": t("the parser crashed on this file; the file is probably damaged"),
        "unreadable": t("the file could not be opened"),
        "encrypted": t("the file is protected by a password"),
        "corrupt": t("the file is damaged or incomplete"),
        "binary": t("the content is not text"),
        "scanned": t("pages are pictures of text, which only OCR can read"),
        "ocr-missing": t("pictures of text cannot be read: tesseract, or its data for a language, is not installed"),
        "hidden": t("hidden sheets or slides were not read"),
        "no-result": t("formulas have no stored result, so their cells are empty"),
        "ocr-unsure": t("text was read from pictures, and many of its words are guesses"),
    }


def _fetched() -> dict[str, str]:
    return {
        "robots": t("robots.txt does not allow it"),
        "robots-unreachable": t("robots.txt could not be read, so nothing is allowed"),
        "off-scope": t("it leads out of the scope of the site"),
        "private-address": t("it leads into a private network that 'addresses' does not name"),
        "redirect": t("it leads to another address"),
        "not-reached": t("a limit of the site was met before its turn"),
        "redirect-loop": t("it redirects too often"),
        "trap": t("the address looks made up by a program without end"),
        "noindex": t("the page asks not to be kept"),
        "http-error": t("the server has no such page, or does not give it"),
        "server-error": t("the server failed"),
        "no-answer": t("the server could not be reached, or broke off"),
        "too-slow": t("the answer did not come whole within 'timeout' of the site"),
        "bad-answer": t("what the server sent is no answer of HTTP"),
        "bad-certificate": t("the certificate of the server is not valid"),
        "host-failing": t("the server failed several times in a row and is left alone"),
        "not-as-fetched": t("the file is not the one that was fetched; run `slipway data fetch`"),
    }


def _texts() -> dict[str, str]:
    return {
        "empty": t("no text was found"),
        "too-short": t("the text is shorter than data.clean.min_chars"),
        "exact-duplicate": t("the same text is already there"),
        "near-duplicate": t("nearly the same text is already there"),
        "language": t("the language is not one of data.clean.languages"),
        "language-unknown": t("the language could not be identified; kept"),
        "outlier-length": t("the length is far from that of the other documents"),
        "outlier-characters": t("the mix of characters is far from that of the other documents"),
        "bad-encoding": t("the text was not in UTF-8, or had broken bytes; decoded or repaired"),
        "mojibake": t("text that had been decoded wrongly was repaired"),
        "not-nfc": t("Unicode was brought to its composed form (NFC)"),
        "control-characters": t("control characters were removed"),
        "invisible-characters": t("invisible characters (zero width, soft hyphen, direction marks) were removed"),
        "tags": t("leftover tags and entities were removed"),
        "boilerplate": t("navigation, headers, footers or banners were removed"),
        "repeated": t("lines that occur on many pages of the site were removed"),
        "bad-row": t("the row is not valid"),
        "missing-text": t("the row has no text"),
        "duplicate-id": t("another row has the same id; the row number names it"),
    }


def _examples() -> dict[str, str]:
    return {
        "missing-input": t("the field of the input is empty"),
        "missing-question": t("there is no question"),  # of datasets made before there were tasks
        "too-long": t("the input is too long"),
        "invalid": t("it is no input or reference of the task"),
        "missing-answer": t("there is no reference answer; kept, but metrics that compare answers leave it out"),
        "contradiction": t("the same input occurs elsewhere with another reference"),
        "missing-group": t("the field that groups examples is empty; the example is a group of its own"),
        "one-label": t("train and dev have fewer than two labels, so there is nothing to choose"),
        "label-untrained": t(
            "no example of train has this label, so a candidate that learns from train never gives it"
        ),
        "label-spelling": t("the label is spelled in several ways, which are taken for one"),
        "language-not-in-every-split": t("too few groups in this language to have it in every split"),
        "slice-not-in-every-split": t("a value of this column is not in every split"),
        "source-missing": t("no document has this name"),
        "source-dropped": t("the document was dropped"),
        "heading-missing": t("the document has no such heading"),
        "section-lost": t("the document was dropped as a near duplicate, and what was kept has no such section"),
        "source-followed": t("the document was dropped as a duplicate; the source is now what was kept"),
        "section-leak": t("an example of an earlier split rests on the same section"),
        "question-leak": t("an earlier split asks nearly the same"),
        "held-out": t("it is to learn from, and an example of dev, gate or reserve asks the same or nearly the same"),
    }
