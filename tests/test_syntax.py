"""Parsing Python in several threads at once."""

import gc
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest

from slipway import plugins, syntax


class Cycle:
    """Freed by the collector only, which then runs Python in the middle of whatever allocates."""

    def __init__(self):
        self.me = self

    def __del__(self):
        for _ in range(3):
            pass


@pytest.fixture
def collecting():
    before = gc.get_threshold()
    gc.set_threshold(50, 2, 2)
    yield
    gc.set_threshold(*before)


@pytest.mark.slow
def test_threads_that_parse_at_once_do_not_disturb_each_other(collecting):
    source = inspect.getsource(plugins)

    def parse(depth: int) -> None:
        if depth:
            return parse(depth - 1)
        for _ in range(8):
            Cycle()
            syntax.module(source)
        return None

    with ThreadPoolExecutor(5) as pool:
        working = [pool.submit(parse, depth * 7) for depth in range(4)]
        working.append(pool.submit(lambda: [Cycle() for _ in range(20_000)]))
        for one in working:
            one.result()
