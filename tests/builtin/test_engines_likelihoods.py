"""The walk over the tree of labels' tokens: exact where it goes, an upper bound where it does not."""

import math
import random

import pytest

from slipway.builtin.engines.likelihoods import walk


class Model:
    """Next-token probabilities made from a hash of the path; counts what it is asked."""

    def __init__(self, vocabulary: int = 40) -> None:
        self.asked: list[tuple[int, ...]] = []
        self.vocabulary = vocabulary

    def logprob(self, path: tuple[int, ...], token: int) -> float:
        drawn = random.Random(repr(path)).choices(range(1, 2000), k=self.vocabulary)
        return math.log(drawn[token] ** 3 / sum(one**3 for one in drawn))

    async def ask(self, path: tuple[int, ...], wanted: tuple[int, ...]) -> dict[int, float]:
        self.asked.append(path)
        return {token: self.logprob(path, token) for token in wanted}

    def whole(self, ids: tuple[int, ...]) -> float:
        return sum(self.logprob(ids[:n], token) for n, token in enumerate(ids))


def labels(n: int, seed: int = 1) -> list[tuple[int, ...]]:
    draw = random.Random(seed)
    return list({tuple(draw.choices(range(1, 6), k=draw.randint(1, 6))) + (0,) for _ in range(n)})


async def test_without_a_bound_every_label_is_the_sum_of_its_tokens() -> None:
    model, ids = Model(), labels(60)
    found = await walk(ids, [0.0] * len(ids), math.inf, model.ask)
    assert [one.logprob for one in found] == pytest.approx([model.whole(one) for one in ids])
    assert [one.tokens for one in found] == [len(one) for one in ids]
    assert len(model.asked) == len(set(model.asked))  # a beginning that labels share is evaluated once


@pytest.mark.parametrize("within", [0.0, 1.0, 5.0])
async def test_what_is_left_out_is_below_the_bound_and_the_best_is_right(within: float) -> None:
    for seed in range(20):
        model, ids = Model(), labels(60, seed)
        offsets = [random.Random(seed + n).uniform(-3, 3) for n in range(len(ids))]
        true = [model.whole(one) + offset for one, offset in zip(ids, offsets, strict=True)]
        found = await walk(ids, offsets, within, model.ask)
        worth = [one.logprob + offset for one, offset in zip(found, offsets, strict=True)]
        exact = [n for n in range(len(ids)) if found[n].exact]
        assert max(exact, key=lambda n: worth[n]) == max(range(len(ids)), key=lambda n: true[n])
        assert all(worth[n] == pytest.approx(true[n]) for n in exact)
        assert all(worth[n] >= true[n] - 1e-9 for n in range(len(ids)))
        assert all(found[n].exact for n in range(len(ids)) if true[n] > max(true) - within)


async def test_five_hundred_labels_take_a_part_of_their_tokens() -> None:
    model = Model()
    ids = [(n // 100 + 1, n // 10 % 10 + 1, n % 10 + 1, 0) for n in range(500)]
    await walk(ids, [0.0] * 500, 3.0, model.ask)
    assert len(model.asked) < 0.7 * len({one[:n] for one in ids for n in range(4)})


async def test_a_label_that_begins_another_one_is_told_from_it_by_its_end() -> None:
    known = {(): {1: 0.9, 2: 0.1}, (1,): {3: 0.9, 0: 0.1}, (1, 3): {0: 1.0}, (2,): {0: 1.0}}

    async def ask(path: tuple[int, ...], wanted: tuple[int, ...]) -> dict[int, float]:
        return {token: math.log(known[path][token]) for token in wanted}

    found = await walk([(1, 0), (1, 3, 0), (2, 0)], [0.0] * 3, math.inf, ask)
    assert [math.exp(one.logprob) for one in found] == pytest.approx([0.09, 0.81, 0.1])


async def test_an_answer_without_tokens_and_none_at_all() -> None:
    model = Model()
    assert await walk([], [], math.inf, model.ask) == ()
    (empty,) = await walk([()], [0.0], math.inf, model.ask)
    assert (empty.logprob, empty.tokens, model.asked) == (0.0, 0, [])
