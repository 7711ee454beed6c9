"""Perplexity and bits per byte: a ratio of totals, undefined where a reference cannot be scored, and deciding nothing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from slipway import api
from slipway.api.finding import scored
from slipway.core.answer import Answer
from slipway.core.metrics import METRICS
from slipway.core.report import ReferenceLikelihood, Report, Score
from slipway.errors import ConfigError, SlipwayError
from slipway.evaluate.aggregate import aggregates
from slipway.evaluate.compare import compare
from slipway.loop.run import Outcome
from slipway.stats.means import mean_bounds
from slipway.testing.projects import FILE, write_project

ASKS = FILE.replace("metrics: [token_f1, retrieval_recall]", "metrics: [token_f1, perplexity, bits_per_byte]")
QUOTE = """\
  quote: {strategy: quote, retrieve: {mode: lexical, top_k: 1}}
evaluate:"""
TRANSFORMERS = "an independent computation needs the extra 'train'"


def score(number: int, nats: float | None, tokens: int = 1, size: int = 1, group: str = "") -> Score:
    found = None if nats is None else ReferenceLikelihood(nats=nats, tokens=tokens, bytes=size)
    answer = Answer(text="", raw="")
    return Score(
        example=f"e{number}", group=group or f"e{number}", language="en", answer=answer, metrics={}, expected=("a",),
        likelihood=found,
    )  # fmt: skip


def run(folder: Path, *overrides: str) -> Outcome:
    with api.open_project(folder, overrides) as opened:
        return api.run(opened, "evaluate")


def test_totals_are_divided_not_ratios_averaged() -> None:
    scores = [score(1, 2.0, tokens=1, size=4), score(2, 30.0, tokens=30, size=60), score(3, 9.0, tokens=3, size=10)]
    found = aggregates(scores)
    assert found["perplexity"].value == pytest.approx(math.exp(41 / 34))
    assert found["bits_per_byte"].value == pytest.approx(41 / math.log(2) / 74)
    for one in (found["perplexity"], found["bits_per_byte"]):
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.value < one.high
        assert one.n == 3


def test_a_weight_is_as_many_values_of_the_same_group() -> None:
    rng = np.random.default_rng(1)
    values, codes, weights = rng.gamma(2.0, size=12), np.arange(12) // 2, rng.integers(1, 6, size=12)
    weighed = mean_bounds(values, codes, (0.0, None), weights=weights.astype(np.float64))
    repeated = mean_bounds(np.repeat(values, weights), np.repeat(codes, weights), (0.0, None))
    assert weighed == pytest.approx(repeated)


def test_one_reference_that_was_not_scored_leaves_the_metric_undefined() -> None:
    scores = [score(1, 2.0), score(2, None), score(3, 4.0)]
    assert not {"perplexity", "bits_per_byte"} & aggregates(scores).keys()
    with pytest.raises(ConfigError, match="1 reference has no likelihood"):
        compare(scores, [score(n, 1.0) for n in (1, 2, 3)], "bits_per_byte")


def test_bits_per_byte_compares_and_perplexity_does_not() -> None:
    first = [score(n, 20.0 + n % 3, tokens=10 + n % 5, size=40) for n in range(30)]
    second = [score(n, 16.0 + n % 2, tokens=6, size=40) for n in range(30)]
    found = compare(first, second, "bits_per_byte")
    assert found.effect == pytest.approx(found.challenger - found.champion)
    assert found.high is not None
    assert found.high < 0
    with pytest.raises(ConfigError, match="compare bits_per_byte"):
        compare(first, second, "perplexity")


def test_it_is_measured_where_an_engine_scores_and_said_where_not(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "demo", ASKS.replace("evaluate:", QUOTE)).parent
    reports = run(folder).reports["dev"]
    with api.open_project(folder) as opened:
        scores = list(opened.store.blobs.get_lines(reports["plain"].scores, Score))
        kept = opened.store.catalog.remembered("likelihood")
    nats = sum(one.likelihood.nats for one in scores if one.likelihood)
    size = sum(len(one.expected[0].encode()) for one in scores)
    assert reports["plain"].metrics["bits_per_byte"].value == pytest.approx(nats / math.log(2) / size)
    assert len(kept) == 16, "two candidates, eight questions; those of the third are not asked for"
    assert not {"perplexity", "bits_per_byte"} & reports["quote"].metrics.keys()
    assert str(reports["quote"].unscored).endswith("8 of 8 references could not be scored; it asks no language model")
    again = run(folder, "evaluate.timeout=60")
    assert "evaluate:plain:dev" in again.ran
    with api.open_project(folder) as opened:
        assert opened.store.catalog.remembered("likelihood") == kept, "each is asked for once"
        listed = {report.candidate.name: report for _, report, _ in api.reports(opened, "dev")}
    assert isinstance(listed["quote"], Report)


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("gate.perplexity={max: 5}", "a likelihood has no highest value"),
        ("gate.bits_per_byte={against: production}", "a likelihood has no highest value"),
        ("release.metric=bits_per_byte", "a likelihood has no highest value"),
        ("evaluate.metrics=[perplexity, token_f1]", "put a metric of answers first"),
    ],
)
def test_it_decides_nothing(tmp_path: Path, override: str, why: str) -> None:
    folder = write_project(tmp_path / "demo", ASKS).parent
    with pytest.raises(SlipwayError, match=why):
        run(folder, override)


def test_its_kind_is_none_that_quality_is_looked_for_in() -> None:
    for name in ("perplexity", "bits_per_byte"):
        assert (METRICS[name].kind, METRICS[name].high) == ("likelihood", None)


@pytest.mark.slow
def test_the_numbers_are_those_of_transformers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason=TRANSFORMERS)
    transformers = pytest.importorskip("transformers", reason=TRANSFORMERS)
    pytest.importorskip("xllamacpp", reason="needs the extra 'llama'")
    from tiny_llama import write_llama

    torch.set_num_threads(1)
    text = ASKS.replace("{engine: echo}", "{engine: llama, source: 'file:tiny.gguf', context: 512}")
    text = text[: text.index("  grounded:")] + text[text.index("evaluate:") :]
    folder = write_project(
        tmp_path / "demo", text.replace("prompt: plain.md", "prompt: plain.md, sampling: {max_tokens: 4}")
    ).parent
    write_llama(folder / "tiny.gguf", scale=0.3)
    report = run(folder).reports["dev"]["plain"]
    with api.open_project(folder) as opened:
        rows = scored(opened, report)
    model = transformers.AutoModelForCausalLM.from_pretrained(str(folder), gguf_file="tiny.gguf").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), gguf_file="tiny.gguf")
    nats, tokens, size = 0.0, 0, 0
    for example, _ in rows:
        asked = f"<|im_start|>user\nAnswer briefly.\n{example.input['question']}<|im_end|>\n<|im_start|>assistant\n"
        begin = tokenizer(asked, add_special_tokens=False)["input_ids"]
        ids = tokenizer(asked + example.expected[0] + "<|im_end|>", add_special_tokens=False)["input_ids"]
        assert ids[: len(begin)] == begin
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        nats -= sum(float(logprobs[at - 1, ids[at]]) for at in range(len(begin), len(ids)))
        tokens += len(ids) - len(begin)
        size += len(example.expected[0].encode())
    assert report.metrics["perplexity"].value == pytest.approx(math.exp(nats / tokens), rel=2e-3)
    assert report.metrics["bits_per_byte"].value == pytest.approx(nats / math.log(2) / size, rel=1e-3)
