"""The contract that every tuner passes. Subclass it in a test file:

    class TestMyTuner(TunerContract):
        def make_tuner(self):
            return MyTuner(MyTuner.Config())

A tuner that needs a model's files overrides `base` and `files`.
"""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest
from pydantic import ValidationError

from slipway.core.artifact import ADAPTER, Made
from slipway.core.candidate import ModelPin
from slipway.core.judged import Preference, Thumb
from slipway.core.material import Chunk, Example
from slipway.core.message import Message
from slipway.errors import ConfigError
from slipway.plugins import Plugins

if TYPE_CHECKING:
    from slipway.core.protocols import Served, Tuner

SPLITS: tuple[Literal["train", "dev"], ...] = ("train", "dev")
EXAMPLES = tuple(
    Example(
        input={"question": f"Which ship is number {n}? 第{n}号"}, expected=(f"ship {n}",), split=SPLITS[n % 2],
        relevant=(f"{n}.md",),
    )
    for n in range(40)
)  # fmt: skip
PASSAGES = tuple(
    Chunk(source=f"{n}.md", path=(f"Ship {n}",), start=0, end=30, text=f"Number {n} is ship {n}. 第{n}号")
    for n in range(40)
)

PREFERENCES = tuple(
    Preference(example=Example(input=e.input, split="train"), chosen=e.expected[0], rejected="no ship")
    for e in EXAMPLES
    if e.split == "train"
)
THUMBS = tuple(
    Thumb(example=pair.example, completion=(pair.chosen, pair.rejected)[n % 2], label=n % 2 == 0)
    for n, pair in enumerate(PREFERENCES)
)


class Stopped(BaseException):
    """What a test stops a tuner with: nothing that a tuner may catch."""


class Job:
    """A job in a folder. `stop_after`: at which call of `progress` it is stopped; 0: never. `asks`: whether the tuner
    says that options of it name other models.
    """

    def __init__(
        self,
        folder: Path,
        reads: tuple[str, ...],
        base: ModelPin | None,
        files: Mapping[str, Path],
        stop_after: int = 0,
        asks: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.base = base
        self.files = files
        self.seed = 7
        self.told: list[tuple[int, int | None]] = []
        self._reads = reads
        self._asks = asks
        self._stop_after = stop_after

    def examples(self, split: Literal["train", "dev"]) -> list[Example]:
        """Those of a split that the tuner says it reads."""
        self._may(split)
        return [example for example in EXAMPLES if example.split == split]

    def preferences(self) -> Sequence[Preference]:
        """One for each example of train."""
        self._may("preferences")
        return PREFERENCES

    def thumbs(self) -> Sequence[Thumb]:
        """One for each example of train: a reference that was called good, or a wrong answer that was called bad."""
        self._may("thumbs")
        return THUMBS

    def _may(self, what: str) -> None:
        if what not in self._reads:
            raise ConfigError(f"the tuner does not say that it reads {what}")

    def score(self, example: Example, text: str, metric: str = "") -> float:
        """The share of the reference that the text has letters of; nothing is asked of a project."""
        self._may("scores")
        wanted = set(example.expected[0])
        return len(wanted & set(text)) / len(wanted)

    def model(self, name: str) -> tuple[ModelPin, Mapping[str, Path]]:
        """The base again: whatever it is called, it is its own teacher."""
        self._may_ask(name)
        assert self.base is not None, name
        return self.base, self.files

    def answers(self, model: str, examples: Sequence[Example]) -> Sequence[str]:
        """Each example's number."""
        self._may_ask(model)
        return [f"{model}: {example.expected[0]}" for example in examples]

    def _may_ask(self, name: str) -> None:
        if not self._asks:
            raise ConfigError(f"the tuner does not say that it uses the model {name}")

    def text(self, example: Example) -> str:
        """The text of its input."""
        return example.text

    def passages(self) -> Sequence[Chunk]:
        """What is retrieved from."""
        return PASSAGES

    def reference(self, example: Example) -> str:
        """The first one."""
        return example.expected[0] if example.expected else ""

    @contextmanager
    def serving(self, made: Made | None = None) -> Generator[Served]:
        """By the real engine, on an event loop of its own."""
        from slipway.adapt.served import serving
        from slipway.loop.loop_thread import LoopThread

        thread = LoopThread()
        try:
            with serving(self.base, made, lambda _: self.files, Plugins(), thread.run) as served:
                yield served
        finally:
            thread.close()

    def vectors(self, texts: Sequence[str]) -> Any:
        """Of eight numbers each, the same for the same text; none without a base."""
        import numpy as np

        if self.base is None:
            return np.zeros((len(texts), 0), np.float32)
        rows = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(8) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32)

    def messages(self, example: Example) -> tuple[Message, ...]:
        """A prompt."""
        return (Message("user", f"Answer.\n{example.text}"),)

    def progress(self, done: int, total: int | None, /, **numbers: float) -> None:
        """Remembers, and stops."""
        self.told.append((done, total))
        if self._stop_after and len(self.told) >= self._stop_after:
            raise Stopped


class TunerContract:
    """What every tuner does alike. Override `make_tuner`."""

    repeatable: ClassVar[bool] = True  # equal jobs make equal files
    base: ClassVar[ModelPin | None] = ModelPin(name="writer", engine="echo", source="")

    def make_tuner(self) -> Tuner:
        """A tuner that takes seconds."""
        raise NotImplementedError

    @pytest.fixture
    def files(self, tmp_path: Path) -> Mapping[str, Path]:
        """The base's files."""
        return {}

    def job(self, folder: Path, files: Mapping[str, Path], stop_after: int = 0) -> Job:
        tuner = self.make_tuner()
        return Job(folder, tuple(tuner.reads), self.base, files, stop_after, bool(getattr(tuner, "models", ())))

    def test_reads_what_it_may(self) -> None:
        assert set(self.make_tuner().reads) <= {"train", "dev", "preferences", "thumbs", "scores"}, (
            "the gate's examples are not to be trained on"
        )

    def test_what_its_class_says_is_so(self) -> None:
        tuner = self.make_tuner()
        options = tuner.Config.model_fields
        assert set(getattr(tuner, "models", ())) <= options.keys(), "`models` names options"
        made = getattr(tuner, "makes", "model")
        assert ({made} if isinstance(made, str) else set(made)) <= {"model", "embedder", "classifier"}
        for option, values in getattr(tuner, "variants", {}).items():
            assert option in options, "`variants` names options"
            for value in values:
                tuner.Config.model_validate({option: value})

    def test_makes_files_in_its_folder(self, tmp_path: Path, files: Mapping[str, Path]) -> None:
        job = self.job(tmp_path / "job", files)
        made = self.make_tuner().tune(job)
        assert isinstance(made, Made)
        assert made.files
        for name, path in made.files.items():
            assert Path(path).is_file()
            assert job.folder in Path(path).parents
            assert "/" not in name
        if made.kind == "adapter":
            assert [name.endswith(ADAPTER) for name in made.files] == [True]
        elif made.kind == "model":
            assert made.engine
        assert all(isinstance(value, int | float) for value in (*made.measured.values(), *made.observed.values()))

    def test_tells_how_far_it_is(self, tmp_path: Path, files: Mapping[str, Path]) -> None:
        job = self.job(tmp_path / "job", files)
        self.make_tuner().tune(job)
        assert job.told
        done = [at for at, _ in job.told]
        assert done == sorted(done)
        assert all(total is None or at <= total for at, total in job.told)

    def test_leaves_the_base_alone(self, tmp_path: Path, files: Mapping[str, Path]) -> None:
        before = {name: _digest(path) for name, path in files.items()}
        self.make_tuner().tune(self.job(tmp_path / "job", files))
        assert {name: _digest(path) for name, path in files.items()} == before

    def test_the_same_job_makes_the_same(self, tmp_path: Path, files: Mapping[str, Path]) -> None:
        if not self.repeatable:
            pytest.skip("it says that it is not repeatable")
        made = [self.make_tuner().tune(self.job(tmp_path / name, files)) for name in ("one", "two")]
        assert _digests(made[0]) == _digests(made[1])
        assert made[0].measured == made[1].measured, "speeds, and what else no two runs share, belong in `observed`"

    def test_stopped_in_the_middle_it_comes_to_the_same_end(self, tmp_path: Path, files: Mapping[str, Path]) -> None:
        whole = self.job(tmp_path / "whole", files)
        self.make_tuner().tune(whole)
        middle = max(1, len(whole.told) // 2)
        for _ in range(2):
            with pytest.raises(Stopped):
                self.make_tuner().tune(self.job(tmp_path / "stopped", files, stop_after=min(middle, 3)))
        found = self._made(tmp_path / "stopped", files)
        assert found.keys() == self._made(tmp_path / "again", files).keys()
        if self.repeatable:
            assert found == self._made(tmp_path / "again", files)

    def test_options_that_do_not_exist_are_refused(self) -> None:
        with pytest.raises(ValidationError):
            self.make_tuner().Config.model_validate({"no such option": 1})

    def _made(self, folder: Path, files: Mapping[str, Path]) -> dict[str, str]:
        return _digests(self.make_tuner().tune(self.job(folder, files)))


def _digests(made: Made) -> dict[str, str]:
    return {name: _digest(path) for name, path in made.files.items()}


def _digest(path: Any) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
