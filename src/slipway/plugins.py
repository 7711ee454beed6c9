"""The one registry: a name -> the class that implements it. Imports an implementation only when it is first used.

A `Plugins` belongs to one open project and is passed to the code that makes things by name; there is no other state.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import sys
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from slipway.code import Code
from slipway.core import protocols
from slipway.core.ref import digest_of
from slipway.errors import ConfigError, EngineError, MissingPrerequisite, NotFound, SlipwayError, instead
from slipway.files import is_full, is_limited, raise_limit, why
from slipway.i18n import t

# kind -> what a plug-in of it must be able to do. A kind loads by built-in name, by an entry point of the group
# `slipway.<kind>`, and by `./file.py:Class`; it needs a line here and, if there are built-ins, one below.
KINDS: dict[str, type] = {
    "engines": protocols.Engine,
    "indexes": protocols.Index,
    "scorers": protocols.Scorer,
    "tasks": protocols.Task,
    "strategies": protocols.Strategy,
    "tuners": protocols.Tuner,
    "tools": protocols.Tool,
}

# name -> ("module:Class", extra that brings its packages)
BUILTIN: dict[str, dict[str, tuple[str, str]]] = {
    "engines": {
        "llama": ("slipway.builtin.engines.llama.engine:LlamaEngine", "llama"),
        "openvino": ("slipway.builtin.engines.openvino.engine:OpenvinoEngine", "openvino"),
        "onnx": ("slipway.builtin.engines.onnx.engine:OnnxEngine", "onnx"),
        "static": ("slipway.builtin.engines.static.engine:StaticEngine", "onnx"),
        "seq2seq": ("slipway.builtin.engines.seq2seq.engine:Seq2SeqEngine", "onnx"),
        "cross-encoder": ("slipway.builtin.engines.onnx.ranker:RankerEngine", "onnx"),
        "openai": ("slipway.builtin.engines.openai.engine:OpenAIEngine", ""),
        "echo": ("slipway.builtin.engines.echo:EchoEngine", ""),
        "replay": ("slipway.builtin.engines.replay:ReplayEngine", ""),
    },
    "indexes": {
        "faiss": ("slipway.builtin.indexes.dense:FaissIndex", "retrieve"),
        "tantivy": ("slipway.builtin.indexes.lexical:TantivyIndex", "retrieve"),
        "qdrant": ("slipway.builtin.indexes.external.qdrant:QdrantIndex", "qdrant"),
        "chroma": ("slipway.builtin.indexes.external.chroma:ChromaIndex", "chroma"),
        "pgvector": ("slipway.builtin.indexes.external.pgvector:PgvectorIndex", "pgvector"),
        "opensearch": ("slipway.builtin.indexes.external.opensearch:OpenSearchIndex", "opensearch"),
    },
    "tasks": {
        "answer": ("slipway.builtin.tasks.answer:AnswerTask", ""),
        "classify": ("slipway.builtin.tasks.classify:ClassifyTask", ""),
        "extract": ("slipway.builtin.tasks.extract:ExtractTask", ""),
    },
    "strategies": {
        "direct": ("slipway.builtin.strategies.direct:DirectStrategy", ""),
        "agent": ("slipway.builtin.strategies.agent:AgentStrategy", ""),
        "quote": ("slipway.builtin.strategies.quote:QuoteStrategy", ""),
        "classifier": ("slipway.builtin.strategies.classifier:ClassifierStrategy", ""),
    },
    "tools": {
        "calculator": ("slipway.builtin.tools.calculator:Calculator", ""),
    },
    "tuners": {
        "quantize": ("slipway.builtin.tuners.quantize:QuantizeTuner", "llama"),
        "prune": ("slipway.builtin.tuners.prune:PruneTuner", "llama"),
        "distill": ("slipway.builtin.tuners.distill:DistillTuner", "train"),
        "dpo": ("slipway.builtin.tuners.preferences:DpoTuner", "train"),
        "kto": ("slipway.builtin.tuners.preferences:KtoTuner", "train"),
        "grpo": ("slipway.builtin.tuners.rewards:GrpoTuner", "train"),
        "rloo": ("slipway.builtin.tuners.rewards:RlooTuner", "train"),
        "reward": ("slipway.builtin.tuners.reward:RewardTuner", "train"),
        "probe": ("slipway.builtin.tuners.probe:ProbeTuner", ""),
        "nearest": ("slipway.builtin.tuners.nearest:NearestTuner", ""),
        "majority": ("slipway.builtin.tuners.majority:MajorityTuner", ""),
        "lora": ("slipway.builtin.tuners.lora:LoraTuner", "train"),
        "full": ("slipway.builtin.tuners.full:FullTuner", "train"),
        "textcnn": ("slipway.builtin.tuners.textcnn:TextCnnTuner", "train"),
        "bilstm": ("slipway.builtin.tuners.bilstm:BiLstmTuner", "train"),
        "encoder": ("slipway.builtin.tuners.encoder:EncoderTuner", "train"),
        "seq2seq": ("slipway.builtin.tuners.seq2seq:Seq2SeqTuner", "train"),
        "keras": ("slipway.builtin.tuners.keras:KerasTuner", "keras"),
        "contrastive": ("slipway.builtin.tuners.contrastive:ContrastiveTuner", "train"),
    },
    "scorers": {
        "token_f1": ("slipway.builtin.scorers.overlap:TokenF1", ""),
        "exact_match": ("slipway.builtin.scorers.overlap:ExactMatch", ""),
        "rouge_l": ("slipway.builtin.scorers.overlap:RougeL", ""),
        "bleu": ("slipway.builtin.scorers.overlap:Bleu", ""),
        "answer_recall": ("slipway.builtin.scorers.overlap:AnswerRecall", ""),
        "semantic_similarity": ("slipway.builtin.scorers.similarity:SemanticSimilarity", ""),
        "contains": ("slipway.builtin.scorers.reading:Contains", ""),
        "regex": ("slipway.builtin.scorers.reading:Regex", ""),
        "numeric_match": ("slipway.builtin.scorers.reading:NumericMatch", ""),
        "yes_no": ("slipway.builtin.scorers.reading:YesNo", ""),
        "choice": ("slipway.builtin.scorers.reading:Choice", ""),
        "squad_f1": ("slipway.builtin.scorers.published:SquadF1", ""),
        "squad_em": ("slipway.builtin.scorers.published:SquadEM", ""),
        "cmrc_f1": ("slipway.builtin.scorers.published:CmrcF1", ""),
        "cmrc_em": ("slipway.builtin.scorers.published:CmrcEM", ""),
        "field_f1": ("slipway.builtin.scorers.fields:FieldF1", ""),
        "field_precision": ("slipway.builtin.scorers.fields:FieldPrecision", ""),
        "field_recall": ("slipway.builtin.scorers.fields:FieldRecall", ""),
        "schema_valid": ("slipway.builtin.scorers.fields:SchemaValid", ""),
        "accuracy": ("slipway.builtin.scorers.overlap:Accuracy", ""),
        "coverage": ("slipway.builtin.scorers.abstaining:Coverage", ""),
        "selective_risk": ("slipway.builtin.scorers.abstaining:SelectiveRisk", ""),
        "retrieval_recall": ("slipway.builtin.scorers.retrieval:RetrievalRecall", ""),
        "retrieval_mrr": ("slipway.builtin.scorers.retrieval:RetrievalMRR", ""),
        "retrieval_ndcg": ("slipway.builtin.scorers.retrieval:RetrievalNDCG", ""),
        "citation_precision": ("slipway.builtin.scorers.retrieval:CitationPrecision", ""),
        "citation_recall": ("slipway.builtin.scorers.retrieval:CitationRecall", ""),
        "citation_coverage": ("slipway.builtin.scorers.retrieval:CitationCoverage", ""),
        "citation_support": ("slipway.builtin.scorers.support:CitationSupport", ""),
    },
}

_PREFIX = "_slipway_project_"
_numbers = itertools.count()  # names the modules of one registry, so that two projects' files never meet


@lru_cache(maxsize=1)
def _entry_points(_: tuple[str, ...]) -> EntryPoints:
    """Of all that is installed, read once: there may be hundreds of distributions. `_`: where they are looked for."""
    return cast("EntryPoints", entry_points())  # 3.11 calls it SelectableGroups


class _FromSource(SourceFileLoader):
    """Compiles the file as it is now. Python's cache of bytecode goes by whole seconds and size: a file changed twice
    within a second would run as it was, under a step key made of what it is.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Beside:
    """Finds the files that a project's file imports from beside it, without Python's cache of bytecode."""

    @staticmethod
    def find_spec(fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX) or not path:
            return None
        return FileFinder(path[0], (_FromSource, [".py"])).find_spec(fullname)


sys.meta_path.insert(0, _Beside)


class Plugins:
    """The plug-ins that one open project can name. `folder`: where `./file.py:Class` is looked for."""

    def __init__(self, folder: Path | None = None, code: Code | None = None) -> None:
        self.folder = folder
        self._code = code or Code()
        self._loaded: dict[tuple[str, str], type[Any]] = {}
        self._entries: dict[str, dict[str, EntryPoint]] = {}
        self._modules: dict[Path, ModuleType] = {}
        self._packages: dict[Path, str] = {}
        self._prefix = f"{_PREFIX}{next(_numbers)}"
        weakref.finalize(self, _forget, self._prefix)

    def known(self, kind: str) -> dict[str, str]:
        """Every name of a kind -> `module:Class`: built-ins, then entry points."""
        names = {name: target for name, (target, _) in BUILTIN.get(kind, {}).items()}
        return names | {name: found.value for name, found in self._entries_of(kind).items()}

    def file(self, name: str) -> Path | None:
        """The file behind `./file.py:Class`; None for the name of anything else."""
        path, found, _ = name.rpartition(":")
        return (self.folder or Path()) / path if found and is_file(name) else None

    def load(self, kind: str, name: str) -> type[Any]:
        """The class behind a name, or behind `./file.py:Class` of the project.

        Raises NotFound (with the known names and the nearest), MissingPrerequisite (with the extra to install) or
        ConfigError (the file or class named is not there, or cannot do what its kind must).
        """
        if (kind, name) not in self._loaded:
            found = self._from_file(name) if is_file(name) else self._installed(kind, name)
            _check_fit(kind, name, found)
            self._loaded[kind, name] = found
        return self._loaded[kind, name]

    def config(self, kind: str, name: str, options: Mapping[str, Any], where: str) -> Any:
        """A plug-in's own options, checked by its Config. `where`: the key of the project file they stand under.

        Raises ConfigError naming each wrong key; its cause is pydantic's ValidationError.
        """
        model: type[BaseModel] = self.load(kind, name).Config
        try:
            return model.model_validate(dict(options))
        except ValidationError as error:
            told = (
                (".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in error.errors()
            )
            found = "; ".join(f"{key}: {why}" for key, why in told)
            keys = ", ".join(model.model_fields) or "-"
            raise ConfigError(
                f"{where}: {found}", t("{kind} '{name}' takes: {keys}", kind=_one(kind), name=name, keys=keys)
            ) from error

    def make(self, kind: str, name: str, options: Mapping[str, Any], where: str, /, **more: Any) -> Any:
        """An instance of a plug-in with its options; `more` are the keyword arguments of its kind."""
        config = self.config(kind, name, options, where)
        with reporting(kind, name):
            return self.load(kind, name)(config, **more)

    def check_name(self, kind: str, name: str) -> None:
        """Raise what `load` would raise for a name that nothing answers to; imports nothing."""
        if is_file(name):
            self._existing(name)
            return
        names = self.known(kind)
        if name not in names:
            raise NotFound(t("no {kind} is called '{name}'", kind=_one(kind), name=name), instead(name, sorted(names)))

    def code(self, kind: str, name: str) -> str:
        """Digest of what a plug-in is made of: its modules, the versions of its distribution and of what it imports."""
        path = self.file(name)
        if path is not None:
            return self._code.of_file(path, self.folder or Path())
        module = self.known(kind).get(name, "").partition(":")[0]
        entry = self._entries_of(kind).get(name)
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry and entry.dist else ""
        return digest_of([self._code.of(module), distribution])

    # -- installed -----------------------------------------------------------------------------------------------
    def _entries_of(self, kind: str) -> dict[str, EntryPoint]:
        if kind not in self._entries:
            found = _entry_points(tuple(sys.path)).select(group=f"slipway.{kind}")
            self._entries[kind] = {entry.name: entry for entry in found}
        return self._entries[kind]

    def _installed(self, kind: str, name: str) -> type[Any]:
        self.check_name(kind, name)
        module, _, attribute = self.known(kind)[name].partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("slipway"):
                raise
            extra = BUILTIN.get(kind, {}).get(name, ("", ""))[1]
            raise MissingPrerequisite(
                t("'{name}' needs the package '{package}', which is not installed", name=name, package=error.name),
                f"pip install 'slipway-ai[{extra}]'" if extra else f"pip install {error.name}",
            ) from error

    # -- the project's own ---------------------------------------------------------------------------------------
    def _existing(self, name: str) -> Path:
        path = self.file(name)
        if path is None or not path.is_file():
            raise ConfigError(
                t("'{name}' names no Python file", name=name),
                t("write it as ./file.py:ClassName, relative to the project"),
            )
        return path.resolve()

    def _from_file(self, name: str) -> type[Any]:
        path, attribute = self._existing(name), name.rpartition(":")[2]
        if path not in self._modules:
            self._modules[path] = self._execute(path)
        if not hasattr(self._modules[path], attribute):
            raise ConfigError(t("{path} defines no '{name}'", path=path, name=attribute))
        return getattr(self._modules[path], attribute)

    def _execute(self, path: Path) -> ModuleType:
        """Run a file as a module of a package of its own folder: `from . import other` finds the file beside it."""
        name = f"{self._package(path.parent)}.{path.stem.replace('.', '_')}"
        spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
        if spec is None or spec.loader is None:
            raise ConfigError(t("'{name}' cannot be imported as Python", name=path))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickle look for it there
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # noqa: BLE001  # the project's own code may fail in any way
            sys.modules.pop(name, None)
            raise ConfigError(
                t("{path} cannot be imported: {kind}: {why}", path=path, kind=type(error).__name__, why=error),
                t("a file beside it is imported as `from . import name`")
                if isinstance(error, ModuleNotFoundError)
                else "",
            ) from error
        return module

    def _package(self, folder: Path) -> str:
        if folder not in self._packages:
            name = self._packages[folder] = f"{self._prefix}_{len(self._packages)}"
            package = ModuleType(name)
            package.__path__ = [str(folder)]
            sys.modules[name] = package
        return self._packages[folder]


@contextmanager
def reporting(kind: str, name: str) -> Generator[None]:
    """Whatever a plug-in raises within becomes an error that says whose it is (but for SLIPWAY_TRACEBACK); `sys.exit`
    too, which would end the event loop that others wait for, and may say that all is well.
    """
    try:
        yield
    except SlipwayError:
        raise
    except (Exception, SystemExit) as error:
        if os.environ.get("SLIPWAY_TRACEBACK"):
            raise
        _explain(kind, name, error)
        raise EngineError(
            t("the {kind} '{name}' failed: {error}: {why}", kind=_one(kind), name=name, error=type(error).__name__,
              why=error),
            t("that is a defect of the plug-in; SLIPWAY_TRACEBACK=1 shows where it happened"),
        ) from error  # fmt: skip


def _explain(kind: str, name: str, error: BaseException) -> None:
    """Raise what says that a disk or the memory is full, which is no defect of a plug-in."""
    if is_full(error):
        told = why(error) if isinstance(error, OSError) else str(error)[:200]
        raise MissingPrerequisite(
            t("the {kind} '{name}' cannot write: {why}", kind=_one(kind), name=name, why=told),
            raise_limit() if is_limited(error) else t(
                "free some space, then run the same command again; what was finished is kept, delete nothing in"
                " .slipway"
            ),
        ) from error  # fmt: skip
    if isinstance(error, MemoryError):
        told = str(error)[:200] or type(error).__name__
        raise MissingPrerequisite(
            t("the {kind} '{name}' needs more memory than there is: {why}", kind=_one(kind), name=name, why=told),
            t("end other programs, or give it less to do at once, and run the same command again"),
        ) from error


def is_file(name: str) -> bool:
    """Whether a name is `./file.py:Class` of a project rather than that of something installed."""
    return name.startswith(("./", "/"))


def _one(kind: str) -> str:
    """`engine` for `engines`."""
    return KINDS[kind].__name__.lower()


def _check_fit(kind: str, name: str, found: Any) -> None:
    """Raise ConfigError for what is no class, or lacks what the protocol of its kind asks of a class."""
    protocol = KINDS[kind]
    asked = [n for n, value in vars(protocol).items() if callable(value) and not n.startswith("_")]
    asked += [n for n, kind_of in protocol.__annotations__.items() if "ClassVar" in str(kind_of)]
    lacking = sorted(n for n in asked if not hasattr(found, n))
    if not isinstance(found, type) or lacking:
        raise ConfigError(
            t("'{name}' is no {kind}: it lacks {what}", name=name, kind=_one(kind), what=", ".join(lacking) or "class"),
            t("docs/reference/plugins.md says what each kind of plug-in must have"),
        )


def _forget(prefix: str) -> None:
    for name in [name for name in sys.modules if name.startswith(f"{prefix}_")]:
        del sys.modules[name]
