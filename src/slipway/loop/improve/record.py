"""What a turn did and found, and what stays of it: a record of each turn, and `improved.yaml` for what was released."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

import msgspec

from slipway.core.candidate import ModelPin
from slipway.core.release import Release, Verdict
from slipway.core.report import Report
from slipway.files import UNDECODABLE
from slipway.loop.feedback import Harvest
from slipway.loop.improve.choosing import Compared, LookPlan
from slipway.loop.improve.recipes import Recipe
from slipway.project.load import IMPROVED
from slipway.store.blobs import write_aside
from slipway.store.failing import in_the_way, reporting

FOLDER = "improve"  # in the state folder
PROMPTS = "improved"  # folder of the project for prompts that were released
State = Literal["waiting", "serves", "dropped", "measured", "failed", "budget", "best"]
Ended = Literal[
    "released", "nothing-better", "dev-too-small", "gate-too-small", "refused", "used-up", "budget", "nothing-to-try",
    "all-failed", "dry-run",
]  # fmt: skip
REFUSED: tuple[Ended, ...] = ("refused", "used-up")  # the gate said no, or had no look left to say anything


class Tried(msgspec.Struct, kw_only=True):
    """One recipe. `state`: it waits (`waiting`); it is what serves; it was dropped after `rung`; it was measured on all
    of dev; it failed (`why`); there was no budget left for it; it was the best. `score`, with its 95% interval: of the
    metric, on `examples` of dev. `seconds`, `cost`: of making and measuring it.
    """

    name: str
    by: str
    parent: str
    change: str
    state: State = "waiting"
    rung: int = 0
    examples: int = 0
    score: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float = 0.0
    cost: float = 0.0
    why: str = ""


class Draft(msgspec.Struct, kw_only=True):
    """An instruction that `model` wrote for the prompt of `parent`, having seen mistakes in these examples (ids). `why`
    it is not tried, else the `recipe` that it became. Secrets and personal data are masked.
    """

    parent: str
    model: ModelPin
    examples: list[str]
    instruction: str = ""
    recipe: str = ""
    why: str = ""


class Turn(msgspec.Struct, kw_only=True):
    """`ended`: how; `why` and `hint` say it in sentences. `rungs`: examples of dev that each rung asked. `serves`: the
    candidate that served before, `now` after. `notes`: what a person should know besides.
    """

    number: int
    ended: Ended = "nothing-better"
    why: str = ""
    hint: str = ""
    metric: str = ""
    channel: str = ""
    serves: str = ""
    now: str = ""
    learnt: int = 0
    harvest: Harvest | None = None
    tried: list[Tried] = []
    drafts: list[Draft] = []
    rungs: list[int] = []
    served: Report | None = None  # what serves, on dev
    compared: Compared | None = None
    look: LookPlan | None = None
    verdict: Verdict | None = None
    release: Release | None = None
    promoted: bool = False
    file: str = ""  # that was written into the project
    notes: list[str] = []
    seconds: float = 0.0
    cost: float = 0.0
    currency: str = ""


class _Earlier(msgspec.Struct):
    """What later turns read of a record."""

    metric: str = ""
    tried: list[Tried] = []
    drafts: list[Draft] = []


class _Promise(msgspec.Struct, kw_only=True):
    """What is written into the project once the candidate, named by its digest, is released."""

    candidate: str
    name: str
    config: dict[str, Any]
    examples: list[str]
    prompt: str


class Records:
    """In the state folder: one file a turn, and what is about to be released, so that a kill does not lose it."""

    def __init__(self, state: Path, root: Path) -> None:
        self._folder, self._root = state / FOLDER, root
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._pending = self._folder / "pending.json"

    @property
    def next(self) -> int:
        """The number of the turn that begins."""
        named = (re.fullmatch(r"turn-([0-9]+)\.json", path.name) for path in self._folder.iterdir())
        return max((int(one[1]) for one in named if one), default=0) + 1

    def check(self) -> None:
        """Raise SlipwayError where what is released could not be written into the project."""
        file, prompts = self._root / IMPROVED, self._root / PROMPTS
        if file.is_dir():
            raise in_the_way(OSError(errno.EISDIR, ""), file)
        if prompts.exists() and not prompts.is_dir():
            raise in_the_way(OSError(errno.EEXIST, ""), prompts)
        for folder in (self._root, prompts if prompts.exists() else self._root):
            with reporting(folder), TemporaryFile(dir=folder):
                pass

    def keep(self, turn: Turn) -> None:
        """Write the record of a turn."""
        body = msgspec.json.format(msgspec.json.encode(turn, enc_hook=str), indent=1)
        write_aside(self._folder / f"turn-{turn.number:04}.json", body)

    def before(self, metric: str) -> list[tuple[str, float]]:
        """Instructions that a model wrote in earlier turns and that were measured, with the metric on dev, in the order
        of the metric's value.
        """
        found: dict[str, float] = {}
        for path in sorted(self._folder.glob("turn-*.json")):
            try:
                turn = msgspec.json.decode(path.read_bytes(), type=_Earlier)
            except (OSError, *UNDECODABLE):
                continue
            scores = {one.name: one.score for one in turn.tried if one.score is not None}
            if turn.metric == metric:
                found |= {one.instruction: scores[one.recipe] for one in turn.drafts if one.recipe in scores}
        return sorted(found.items(), key=lambda one: one[1])

    def prompt(self, recipe: Recipe) -> str:
        """Where the text of a recipe's own prompt lies, relative to the project; written there now."""
        path = self._folder / "prompts" / f"{recipe.name}.md"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_aside(path, recipe.prompt.encode())
        return str(path.relative_to(self._root))

    def promise(self, candidate: str, recipe: Recipe, examples: list[str]) -> None:
        """Before the look: what will be written when this candidate (its digest) is released."""
        config = recipe.config.model_dump(mode="json", exclude_unset=True, exclude={"extends"})
        if recipe.prompt:
            config["prompt"] = f"{PROMPTS}/{recipe.name}.md"
        made = _Promise(
            candidate=candidate, name=recipe.name, config=config, examples=examples, prompt=recipe.prompt
        )  # fmt: skip
        write_aside(self._pending, msgspec.json.encode(made))

    @property
    def promised(self) -> str:
        """Digest of the candidate that was promised; empty without one."""
        found = self._read()
        return found.candidate if found else ""

    def fulfil(self, serving: str) -> str:
        """Write `improved.yaml` where the promised candidate is the one that was released; the promise is gone then.
        Returns the file's name, empty where there was nothing to write.
        """
        found = self._read()
        if found is None or found.candidate != serving:
            return ""
        if found.prompt:
            write_aside(self._root / PROMPTS / f"{found.name}.md", found.prompt.encode())
        write_aside(self._root / IMPROVED, _yaml(found).encode())
        self.forget()
        return IMPROVED

    def forget(self) -> None:
        """Take back the promise."""
        self._pending.unlink(missing_ok=True)

    def _read(self) -> _Promise | None:
        try:
            return msgspec.json.decode(self._pending.read_bytes(), type=_Promise)
        except (OSError, *UNDECODABLE):
            return None


def _yaml(found: _Promise) -> str:
    import yaml

    body: dict[str, Any] = {"candidates": {found.name: _short(found.config)}}
    if found.examples:
        body["examples"] = found.examples
    head = "# Written by `slipway improve`: what it released, read beside slipway.yaml. Commit it, or delete it.\n"
    return head + yaml.safe_dump(body, allow_unicode=True, sort_keys=False)


def _short(value: Any) -> Any:
    """Plug-ins as people write them: a name, or a name with its options."""
    if isinstance(value, dict):
        if value.keys() == {"name", "options"}:  # pyright: ignore[reportUnknownMemberType]
            return {value["name"]: value["options"]} if value["options"] else value["name"]
        return {key: _short(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return [_short(one) for one in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]
