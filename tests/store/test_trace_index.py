"""The index of traces: what is found with it is what is found without it, whatever is written, deleted or damaged."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slipway.core.answer import Answer
from slipway.core.trace import Trace, Wanted
from slipway.store import trace_index
from slipway.store.backup import backup
from slipway.store.catalog import Catalog
from slipway.store.erase import erase_rows
from slipway.store.gc import gc
from slipway.store.postgres import Postgres
from slipway.store.restore import restore
from slipway.store.retention import Retention
from slipway.store.segment import folded, runs
from slipway.store.sqlite import SQLite
from slipway.store.store import Store
from slipway.testing.catalogs import feedback_of, trace_of

SIZES = (16, 4)
WHOLE = [f"16-{n:08}.db" for n in range(4)]  # of 70 traces
PARTS = ["4-00000016.db"]
TEXTS = (
    "How much does the KEEL weigh?", "龙骨有多重？价格是多少", 'quotes " and \\ and %_', "GRÖSSE ẞ STRASSE ﬁn", "ai", "x",
    "日本語のテキスト", "tab\there\x00nul", "AI助手", "한국어 질문입니다", "", "🙂🙃 emoji", "aaaa aaab", "end z",
)  # fmt: skip
WANTED: tuple[dict[str, Any], ...] = (
    {}, {"channel": "q"}, {"channel": "nobody"}, {"status": "5xx"}, {"status": "404"}, {"slow": 0.5}, {"slow": 99.0},
    {"release": "f" * 64}, {"since": "2026-01-01T00:01:00.000000Z"}, {"since": "2026"}, {"thumb": "up"},
    {"thumb": "down"}, {"said": "any"}, {"said": "comment"}, {"said": "score"}, {"said": "correction", "thumb": "down"},
    {"until": "2026-01-01T00:00:30"}, {"since": "2025-12-31", "until": "2026-01-01"}, {"until": "2026-01-02"},
    {"language": "zh"}, {"language": "en"}, {"language": "fr"}, {"words": ("keel",)},
    {"words": ("KEEL", "weigh?")}, {"words": ("价格",)}, {"words": ("重",)}, {"words": ("龙骨有多重？",)},
    {"words": ('"',)}, {"words": ("\\",)}, {"words": ("%_",)}, {"words": ("größe",)}, {"words": ("strasse",)},
    {"words": ("fin",)}, {"words": ("ai",)}, {"words": ("x",)}, {"words": ("qz",)}, {"words": ("AI助",)},
    {"words": ("テキ",)}, {"words": ("질문",)}, {"words": ("🙃",)}, {"words": ("aaa",)}, {"words": ("z",)},
    {"words": ("zq",)}, {"words": ("\x1f",)}, {"words": ("AND",)}, {"words": ("keel",), "status": "5xx"},
    {"words": ("价格",), "thumb": "up", "language": "zh"}, {"words": ("e",), "channel": "q", "slow": 0.2},
)  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_index, "SIZES", SIZES)
    monkeypatch.setattr(trace_index, "SETTLED", -1e9)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / ".slipway")
    yield found
    found.close()


def fill(catalog: Catalog, count: int = 70) -> list[Trace]:
    chance, made = random.Random(3), list[Trace]()
    for n in range(count):
        text = chance.choice(TEXTS)
        currency = ("CNY" if n % 5 else "EUR") if n % 2 else ""
        said = Answer(text=chance.choice(TEXTS), raw="", cost=n / 64, currency=currency) if n % 3 else None
        made.append(
            trace_of(at=f"2026-01-01T00:{n // 60:02}:{n % 60:02}.000000Z", channel=chance.choice("pq"),
                     status=chance.choice((200, 404, 503)), seconds=n / 100, release=chance.choice(("", "f" * 64)),
                     request={"messages": [{"role": "user", "content": text}]}, answer=said)
        )  # fmt: skip
    more: tuple[dict[str, Any], ...] = (
        {},
        {"comment": '"score":1, "correction":'},
        {"score": 0.5},
        {"correction": "no"},
    )
    judged = made[:: chance.randrange(2, 4)]
    said = [feedback_of(one, thumb=chance.choice(("up", "down")), **chance.choice(more)) for one in judged]
    catalog.add_traces(made, said)
    return made


def found(catalog: Catalog, limit: int = 1000) -> list[list[str]]:
    return [[trace.id for _, trace in catalog.traces(limit, wanted=Wanted(**given))] for given in WANTED]


def files(store: Store) -> list[str]:
    return sorted(path.name for path in (store.folder / "cache" / "traces").glob("*"))


def without(catalog: Catalog) -> list[list[str]]:
    index, catalog.index = catalog.index, trace_index.TraceIndex(None, catalog.database)
    try:
        return found(catalog)
    finally:
        catalog.index = index


def check_alike(catalog: Catalog) -> None:
    fill(catalog)
    plain, traffic = found(catalog), [catalog.traffic(since) for since in ("", "2026-01-01T00:00:31.000000Z")]
    assert sum(map(bool, plain)) > 25, "hardly anything was looked for that is there"
    assert traffic[0].costs.keys() == {"CNY", "EUR"}
    assert 0 < traffic[1].costs["CNY"] < traffic[0].costs["CNY"]
    assert catalog.index.keep_up() == 5
    assert catalog.index.keep_up() == 0
    assert found(catalog) == plain == without(catalog)
    assert [catalog.traffic(since) for since in ("", "2026-01-01T00:00:31.000000Z")] == traffic
    for given in WANTED:  # page by page
        pages, before = list[str](), ""
        while page := catalog.traces(7, wanted=msgspec.structs.replace(Wanted(**given), before=before)):
            pages += [trace.id for _, trace in page]
            before = pages[-1]
        assert pages == plain[WANTED.index(given)], given
        walked = [catalog.newer(id, Wanted(**given)) for id in pages]  # and back, one by one
        assert walked == ["", *pages[:-1]][: len(pages)], given
    assert catalog.newer("0" * 32, Wanted(words=("keel",))) == ""


def test_the_same_is_found_with_and_without_it(store: Store) -> None:
    check_alike(store.catalog)


@pytest.mark.service
def test_the_same_is_found_beside_a_server(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    catalog = Catalog(Postgres(request.getfixturevalue("database")), tmp_path / "traces")
    try:
        check_alike(catalog)
    finally:
        catalog.close()


def test_a_server_is_waited_for_until_no_writer_can_be_behind(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(SQLite(tmp_path / "catalog.db"), tmp_path / "traces")
    monkeypatch.setattr(catalog.database, "kind", "postgresql")
    monkeypatch.setattr(trace_index, "SETTLED", 60.0)
    catalog.add_traces([trace_of(at="2999-01-01T00:00:00.000000Z") for _ in range(40)])
    assert catalog.index.keep_up() == 0
    catalog.close()


def test_whats_deleted_is_in_no_file_and_the_rest_is_still_found(store: Store) -> None:
    made = fill(store.catalog)
    store.catalog.index.keep_up()
    assert files(store) == [*WHOLE, *PARTS]
    erase_rows(store, [made[20].id], [], [], [])
    assert files(store) == [WHOLE[0], *WHOLE[2:], *PARTS]
    assert made[20].id not in sum(found(store.catalog), [])
    assert found(store.catalog) == without(store.catalog)
    assert store.catalog.index.keep_up() == 1
    assert found(store.catalog) == without(store.catalog)


def test_what_is_over_its_time_leaves_the_index(store: Store) -> None:
    fill(store.catalog)
    store.catalog.index.keep_up()
    gc(store, Retention(traces=1.0))
    assert files(store) == []
    assert store.catalog.index.keep_up() == 0
    assert found(store.catalog)[0] == without(store.catalog)[0]


def test_numbers_that_are_given_again_are_found(store: Store) -> None:
    made = fill(store.catalog, 40)
    store.catalog.index.keep_up()
    erase_rows(store, [one.id for one in made[10:]], [], [], [])
    again = trace_of(request={"prompt": "the needle"})
    store.catalog.add_traces([again])
    store.catalog.index.keep_up()
    assert [one for _, one in store.catalog.traces(wanted=Wanted(words=("needle",)))] == [again]


def test_a_restored_backup_is_indexed_anew(store: Store, tmp_path: Path) -> None:
    fill(store.catalog)
    backup(store, tmp_path / "kept.zip")
    before = found(store.catalog)
    store.catalog.index.keep_up()
    erase_rows(store, before[0], [], [], [])
    store.catalog.add_traces([trace_of(request={"prompt": "other"}) for _ in range(70)])
    store.catalog.index.keep_up()
    restore(store, tmp_path / "kept.zip", replace=True)
    assert files(store) == []
    store.catalog.index.keep_up()
    assert found(store.catalog) == before


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00" + bytes(500)])
def test_a_damaged_file_is_not_used_and_made_again(store: Store, content: bytes) -> None:
    fill(store.catalog)
    store.catalog.index.keep_up()
    path = store.folder / "cache" / "traces" / WHOLE[1]
    path.unlink()
    path.write_bytes(content)
    assert found(store.catalog) == without(store.catalog)
    assert store.catalog.index.check() == [(16, 1)]
    assert store.catalog.index.keep_up() == 1
    assert found(store.catalog) == without(store.catalog)


@pytest.mark.slow
def test_a_page_that_was_damaged_is_noticed_while_it_is_read(store: Store) -> None:
    fill(store.catalog)
    store.catalog.index.keep_up()
    path = store.folder / "cache" / "traces" / WHOLE[1]
    whole = path.read_bytes()
    for page in range(1, len(whole) // 8192):
        path.unlink(missing_ok=True)
        path.write_bytes(whole[: page * 8192] + b"\xff" * 8192 + whole[(page + 1) * 8192 :])
        assert found(store.catalog) == without(store.catalog), page


def test_what_another_server_deleted_is_seen(store: Store) -> None:
    made = fill(store.catalog)
    store.catalog.index.keep_up()
    other = Catalog(SQLite(store.folder / "catalog.db"))
    with other.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM traces WHERE id = ?", (made[3].id,))
    other.close()
    assert made[3].id not in sum(found(store.catalog), [])
    assert store.catalog.index.check() == [(16, 0)]


def test_deleted_while_it_is_indexed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fill(store.catalog)
    count: Callable[[trace_index.Stretch], int] = getattr(store.catalog.index, "_count")  # noqa: B009 -- between the two

    def late(stretch: trace_index.Stretch) -> int:  # by another server, which cannot delete our file
        with store.catalog.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM traces WHERE id = ?", (made[64].id,))
        return count(stretch)

    monkeypatch.setattr(store.catalog.index, "_count", late)
    store.catalog.index.keep_up()
    assert files(store) == WHOLE


def test_nothing_of_a_text_is_readable_in_a_file_and_only_its_owner_may_open_it(store: Store) -> None:
    fill(store.catalog)
    store.catalog.index.keep_up()
    for path in (store.folder / "cache" / "traces").glob("*.db"):
        assert path.stat().st_mode & 0o077 == 0
        assert b"weigh" not in path.read_bytes().lower()


def test_the_parts_of_a_stretch_go_once_it_is_whole(store: Store) -> None:
    fill(store.catalog, 15)
    assert store.catalog.index.keep_up() == 3
    assert files(store) == [f"4-{n:08}.db" for n in range(3)]
    assert found(store.catalog) == without(store.catalog)
    fill(store.catalog, 2)
    assert store.catalog.index.keep_up() == 1
    assert files(store) == [WHOLE[0]]
    assert found(store.catalog) == without(store.catalog)


def test_an_index_that_is_stopped_leaves_nothing_behind(store: Store) -> None:
    fill(store.catalog)
    asked = iter([False, False, True])
    assert store.catalog.index.keep_up(lambda: next(asked, True)) == 0
    assert files(store) == []


def test_runs_are_letters_that_follow_each_other() -> None:
    assert runs("Keel") == ["kee", "eel"]
    assert runs("价") == ["\x1f价\x1f"]
    assert runs("ai") == ["ai"]
    assert all(run in folded("前价格后") for run in runs("价格"))
    assert not all(run in folded("前价格后") for run in runs("价后"))
    assert len(runs("".join(map(chr, range(0x100, 0x400))))) <= 24


def test_a_long_text_is_found_by_its_end(store: Store) -> None:
    long = trace_of(request={"prompt": "x" * 300_000 + " needle"})
    store.catalog.add_traces([long, *(trace_of() for _ in range(SIZES[0]))])
    assert store.catalog.index.keep_up() == 1
    assert [one.id for _, one in store.catalog.traces(wanted=Wanted(words=("needle",)))] == [long.id]
