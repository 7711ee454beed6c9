"""A program for `test_ref`: many threads decode a struct for the first time, many times over. `plain`: by msgspec itself."""

from __future__ import annotations

import sys
import threading
import types
from typing import Any

import msgspec

from slipway.core.ref import decoder_of

BODY = b'{"f0": {"a": 1}, "f9": {"a": 1}, "inner": [{"f3": {"b": 2}, "one": {"f9": {}}}], "one": {"f9": {"c": 3}}}'
SOURCE = "from __future__ import annotations\nimport msgspec\n" + "".join(
    f"class S{n}(msgspec.Struct):\n"
    + "".join(f"    f{m}: dict[str, int] | None = None\n" for m in range(10))
    + (f"    inner: tuple[S{n - 1}, ...] = ()\n    one: S{n - 1} | None = None\n" if n else "")
    for n in range(6)
)


def decode(type_: Any) -> None:
    msgspec.json.decode(BODY, type=type_) if sys.argv[1] == "plain" else decoder_of(type_).decode(BODY)


def main() -> None:
    sys.setswitchinterval(1e-6)
    for turn in range(60):
        module = sys.modules[f"structs{turn}"] = types.ModuleType(f"structs{turn}")
        exec(SOURCE, module.__dict__)
        ready = threading.Barrier(6)

        def work(type_: Any = module.S5, ready: threading.Barrier = ready) -> None:
            ready.wait()
            decode(type_)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


main()
