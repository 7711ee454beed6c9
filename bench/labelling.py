"""Whether the intervals of labelling hold what they say, and how fast a person's keys can be.

    python bench/labelling.py                 coverage of agreement and of the estimate, about 2 CPU-minutes
    python bench/labelling.py --keys 100      items labelled by keys in Chromium: items a minute, and requests an item

Agreement: annotators who say the truth with a certain probability and else anything, so that the coefficient of the
whole world is known from a very large simulated population; items are drawn anew each trial. The estimate: populations
of requests of which some are wanted (thumbs down, mostly bad) and the rest is mostly good; a queue is drawn as
`loop.labelling.drawing` draws it, all or two thirds of it is labelled, and the interval is asked whether it holds the
share of the whole population. Beside it the plain mean of what was labelled, which is what a queue of bad answers would
tell without its probabilities.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slipway.loop.labelling.drawing import Unit, draw
from slipway.stats.agreement import Agreement, cohen, fleiss, krippendorff
from slipway.stats.drawn import population_mean

Items = list[list[Any]]


def world(rng: np.random.Generator, items: int, raters: int, right: float, missing: float = 0.0) -> Items:
    """Labels of 1 to 4, the first twice as common; None where an annotator was not asked."""
    truth = rng.choice([1, 2, 3, 4], size=items, p=[0.4, 0.2, 0.2, 0.2])
    said = np.where(rng.random((items, raters)) < right, truth[:, None], rng.integers(1, 5, (items, raters)))
    there = rng.random((items, raters)) >= missing
    return [
        [int(v) if ok else None for v, ok in zip(row, kept, strict=True)] for row, kept in zip(said, there, strict=True)
    ]


def pairs(items: Items) -> list[tuple[Any, Any]]:
    return [(one[0], one[1]) for one in items]


COEFFICIENTS: dict[str, tuple[Callable[..., Agreement | None], int, float]] = {
    "cohen": (lambda items, draws: cohen(pairs(items), draws), 2, 0.0),
    "fleiss": (lambda items, draws: fleiss(items, draws), 3, 0.0),
    "alpha nominal": (lambda items, draws: krippendorff(items, "nominal", draws), 3, 0.2),
    "alpha ordinal": (lambda items, draws: krippendorff(items, "ordinal", draws), 3, 0.2),
    "alpha interval": (lambda items, draws: krippendorff(items, "interval", draws), 3, 0.2),
}


def agreement(trials: int, sizes: Sequence[int], rights: Sequence[float]) -> None:
    print("coefficient      items  right  truth  mean   covered")
    for name, (measure, raters, missing) in COEFFICIENTS.items():
        for right in rights:
            large = measure(world(np.random.default_rng(0), 40_000, raters, right, missing), 2)
            assert large is not None
            for size in sizes:
                held, values, none = 0, [], 0
                for trial in range(trials):
                    found = measure(world(np.random.default_rng([trial, size]), size, raters, right, missing), 600)
                    if found is None or found.low is None or found.high is None:
                        none += 1
                        continue
                    values.append(found.value)
                    held += found.low <= large.value <= found.high
                given = trials - none
                print(f"{name:16} {size:5}  {right:5.2f}  {large.value:.3f}  {np.mean(values):.3f}  {held / given:.3f}"
                      f"{f'  ({none} without an interval)' if none else ''}", flush=True)  # fmt: skip


def estimates(trials: int) -> None:
    print(
        "\npopulation  wanted  size  truth  estimate  plain mean  width  covered  covered when two thirds are labelled"
    )
    for population, wanted, size, bad, good in (
        (500, 40, 50, 0.2, 0.9), (2_000, 60, 100, 0.3, 0.95), (300, 10, 60, 0.0, 0.8), (120, 30, 60, 0.5, 0.99),
    ):  # fmt: skip
        rng = np.random.default_rng(population)
        truth = np.concatenate([rng.random(wanted) < bad, rng.random(population - wanted) < good]).astype(float)
        units = [
            Unit(input={"n": n}, text=str(n), wanted={"thumbs-down": 1.0} if n < wanted else {})
            for n in range(population)
        ]
        found, plain, widths, held, partly, told = [], [], [], 0, 0, 0
        for trial in range(trials):
            drawn = draw(units, size, ["thumbs-down"], 0.4, seed=trial)
            values = [float(truth[unit.input["n"]]) for unit, _, _ in drawn]
            probabilities = [probability for _, _, probability in drawn]
            one = population_mean(values, probabilities, population)
            assert one is not None
            found.append(one.value)
            plain.append(np.mean(values))
            widths.append(one.high - one.low)
            held += one.low <= truth.mean() <= one.high
            some = [value if place < 2 * size // 3 else None for place, value in enumerate(values)]
            other = population_mean(some, probabilities, population)
            if other is not None:
                told += 1
                partly += other.low <= truth.mean() <= other.high
        estimate, mean = np.mean(found), np.mean(plain)
        print(f"{population:10}  {wanted:6}  {size:4}  {truth.mean():.3f}  {estimate:8.3f}  {mean:10.3f}"
              f"  {np.mean(widths):.3f}  {held / trials:7.3f}  {partly / told:.3f}", flush=True)  # fmt: skip


def keys(items: int, chromium: str) -> None:
    """One browser presses a key as soon as a page is there: what the server and the page leave a person."""
    import tempfile

    from playwright.sync_api import sync_playwright

    from served import serving
    from slipway import api
    from slipway.console.routes import make_console
    from slipway.core.answer import Answer
    from slipway.loop.labelling.room import Plan
    from slipway.runtime.cost import make_cost
    from slipway.runtime.session import Session
    from slipway.serve.resources import ServeContext
    from slipway.testing.catalogs import trace_of
    from slipway.testing.projects import write_project

    with (
        tempfile.TemporaryDirectory() as place,
        api.open_project(write_project(Path(place) / "demo").parent) as project,
    ):
        api.run(project)
        asked = [
            trace_of(request={"messages": [{"role": "user", "content": f"Where does boat {n} of owner {n * 37} lie?"}]},
                     answer=Answer(text=f"pier {n}", raw="")) for n in range(items)
        ]  # fmt: skip
        project.store.catalog.add_traces(asked)
        api.labelling(project).create(Plan(name="q", size=items))
        session = Session(
            project.store, project.locate, make_cost(project.project, project.rate_of), project.tell, project.plugins
        )
        config = project.project.serve.model_copy(update={"port": 0})
        context = ServeContext(
            project="demo", config=config, store=project.store, session=session, verify=lambda release: None,
            console=make_console(project),
        )  # fmt: skip
        with serving(context) as server, sync_playwright() as started:
            browser = started.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            tab, requests = browser.new_page(), list[str]()
            tab.goto(f"{server.address}/console/labelling/q/work")
            tab.on("request", lambda request: requests.append(request.url))
            began, done = time.perf_counter(), 0
            while tab.query_selector("form.judge"):
                with tab.expect_navigation():
                    tab.keyboard.press("1")
                done += 1
            took = time.perf_counter() - began
            pages = [one for one in requests if "/assets/" not in one]
            each = f"{took / done:.3f} s and {len(pages) / done:.2f} requests each"
            print(f"{done} items, {done / took * 60:.0f} a minute, {each}")
            browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 200])
    parser.add_argument("--rights", type=float, nargs="+", default=[0.5, 0.85])
    parser.add_argument("--keys", type=int, default=0, help="items to label in Chromium; run it from a checkout")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    given = parser.parse_args()
    if given.keys:
        import sys

        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        keys(given.keys, given.chromium)
        return
    agreement(given.trials, given.sizes, given.rights)
    estimates(given.trials)


if __name__ == "__main__":
    main()
