"""Our metrics beside the programs that define them, on thousands of items: the rows that `bench/metrics.py` prints."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from slipway.text.published import cmrc_f1, cmrc_words, squad_words, treebank

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "xquad"
spec = importlib.util.spec_from_file_location("bench_metrics", ROOT / "bench" / "metrics.py")
assert spec is not None
assert spec.loader is not None
bench = importlib.util.module_from_spec(spec)
sys.modules["bench_metrics"] = bench
spec.loader.exec_module(bench)

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/xquad")


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_text_metrics_agree_on_every_item(language):
    rows = list(bench.text_rows(bench.items(DATA, language)))
    assert len(rows) >= 8
    for row in rows:
        assert row.items >= 1000, row
        assert row.different == 0, row


@needs_data
def test_the_items_are_neither_all_right_nor_all_wrong():
    for language, metric in (("en", "squad_f1"), ("zh", "cmrc_f1")):
        values = [bench.ours(metric, item) for item in bench.items(DATA, language)]
        assert 0.3 < sum(values) / len(values) < 0.8
        assert sum(0 < value < 1 for value in values) > 500


@needs_data
def test_a_changed_mark_is_seen_on_every_reference_with_a_number():
    found = bench.marks(DATA)
    assert found["changed answers"] > 900
    assert found["not seen by exact_match"] == 0


@pytest.mark.slow
def test_macro_f1_is_scikit_learns():
    row = bench.label_row()
    assert (row.items, row.different) == (1000, 0)


def test_rankings_are_judged_as_trec_eval_judges_them():
    for row in bench.retrieval_rows():
        assert (row.items, row.different) == (1000, 0), row


def test_the_published_rules_by_hand():
    assert squad_words("The U.S. Army's  well-known base") == ["us", "armys", "wellknown", "base"]
    assert cmrc_words("在「上海」，2021年。It's 1,000.") == ["在", "上", "海", "2021", "年", "it", "'s", "1,000", "."]
    assert treebank('he said "no, it isn\'t (yet)."') == [
        "he", "said", "``", "no", ",", "it", "is", "n't", "(", "yet", ")", ".", "''",
    ]  # fmt: skip
    assert cmrc_f1("北京大学", "在北京上大学") == pytest.approx(2 * 2 / (4 + 6))  # the longest run, not the bag
