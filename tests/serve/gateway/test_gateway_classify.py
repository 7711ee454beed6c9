"""A release of labels over HTTP: the label is the content; an abstention is empty; a text that is no label is no answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from served import Running, echo, make_context, promote, release, serving
from slipway.builtin.classifiers.classifier import FILE, Classifier, Header
from slipway.builtin.classifiers.features import Vocabulary, grams
from slipway.store.store import Store

LABELS = {"task": "classify", "task_options": {"labels": {"billing": "", "登录": ""}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    store = Store(tmp_path_factory.mktemp("state"))
    counted = [grams("invoice"), grams("密码")]
    vocabulary = Vocabulary.of(counted, 1)
    weights = vocabulary.matrix(counted).toarray().T.astype(np.float16) * 4
    arrays = {"bias": np.zeros(2, np.float32), "codes": vocabulary.codes, "idf": vocabulary.idf, "grams": weights}
    path = store.folder / FILE
    Classifier(Header(kind="linear", labels=("billing", "登录"), threshold=0.6), arrays).save(path)
    files = {FILE: store.blobs.put(path.read_bytes())}
    promote(store, release(store, None, "", strategy="classifier", files=files, **LABELS))
    with serving(make_context(store, [])) as running:
        running.until()
        yield running


@pytest.mark.parametrize("stream", [False, True])
def test_the_label_is_the_content(server: Running, stream: bool) -> None:
    for text, label in (("an invoice", "billing"), ("我的密码", "登录")):
        reply = server.chat(text, stream=stream)
        assert (reply.status, reply.text) == (200, label)
        told = reply.events[-2]["slipway"] if stream else reply.json["slipway"]
        assert told["label"] == label
        assert 0.6 < told["confidence"] <= 1
        assert told["steps"][0]["output"].startswith(f"{label} 0.")


@pytest.mark.parametrize("stream", [False, True])
def test_an_abstention_has_no_content(server: Running, stream: bool) -> None:
    reply = server.chat("something else", stream=stream)
    assert (reply.status, reply.text) == (200, "")
    told = (reply.events[-2] if stream else reply.json)["slipway"]
    assert told["abstained"] is True
    assert told["confidence"] == pytest.approx(0.5)


def test_an_empty_text_is_refused(server: Running) -> None:
    assert server.chat(" ").status == 400


def test_what_is_no_label_is_no_answer(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    writer = echo("writer", reply="a banana")
    promote(store, release(store, writer, "{{ text }}", answer_pattern="(.*)", **LABELS))
    with serving(make_context(store, [writer])) as running:
        running.until()
        reply = running.chat("hello")
        assert reply.status == 502
        assert "no output of the task" in reply.json["error"]["message"]
