"""The engine of encoder-decoders: the contract of engines, the same numbers as transformers, damaged files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("safetensors", reason="writes a model")

from slipway.builtin.engines.seq2seq.drawing import Tail  # noqa: E402
from slipway.builtin.engines.seq2seq.engine import Seq2SeqEngine  # noqa: E402
from slipway.builtin.engines.seq2seq.loaded import Loaded  # noqa: E402
from slipway.core.message import GenerateRequest, LikelihoodRequest, Message, Sampling  # noqa: E402
from slipway.errors import EngineError  # noqa: E402
from slipway.testing.engines import EngineContract, complete  # noqa: E402
from tiny_t5 import write_t5  # noqa: E402

if TYPE_CHECKING:
    from slipway.core.protocols import Capability, Engine


def engine_of(files: dict[str, Path], **options: object) -> Seq2SeqEngine:
    return Seq2SeqEngine(Seq2SeqEngine.Config(threads=2, **options), name="tiny", files=files)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture
async def engine(files: dict[str, Path]) -> Iterator[Seq2SeqEngine]:
    engine = engine_of(files)
    yield engine
    await engine.close()


class TestSeq2SeqEngine(EngineContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset({"generate", "choices", "tokenize", "score"})
    can_score: ClassVar[bool] = False  # of raw prompts: an answer is not the continuation of one

    @classmethod
    def make_engine(cls, request: pytest.FixtureRequest) -> Engine:
        return engine_of(request.getfixturevalue("files"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        {"feed_forward_proj": "relu", "num_decoder_layers": 1},
        {"model_type": "mt5", "feed_forward_proj": "gated-gelu"},
    ],
    ids=lambda one: "-".join(map(str, one.values())),
)
def test_says_what_transformers_says(config: dict[str, object], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra train")
    from transformers import AutoModelForSeq2SeqLM
    from transformers.models.mt5.configuration_mt5 import MT5Config
    from transformers.models.t5.configuration_t5 import T5Config

    files = write_t5(tmp_path, **config)
    torch.manual_seed(0)
    kind = T5Config if config.get("model_type", "t5") == "t5" else MT5Config
    model = AutoModelForSeq2SeqLM.from_config(kind(**json.loads(files["config.json"].read_text()))).eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    from safetensors.torch import save_file

    kept = {name: value.detach().clone() for name, value in model.named_parameters()}
    save_file(kept, files["model.safetensors"])
    loaded = Loaded("tiny", files, 1)
    read, said = [3 + n % 250 for n in range(0, 350, 7)], [0, *(3 + n % 250 for n in range(0, 480, 11))]
    writing = loaded.encode(read)
    found = [loaded.step(writing, said[:9]), *(loaded.step(writing, [token]) for token in said[9:])]
    with torch.no_grad():
        wanted = model(input_ids=torch.tensor([read]), decoder_input_ids=torch.tensor([said])).logits[0]
    assert torch.allclose(torch.from_numpy(np.concatenate(found)), wanted, atol=1e-3)


async def test_an_answer_depends_on_what_was_asked(engine: Seq2SeqEngine) -> None:
    said = {(await complete(engine, GenerateRequest(prompt=text, sampling=Sampling(max_tokens=8)))).text
            for text in ("refund", "where is my card", "退款")}  # fmt: skip
    assert len(said) == 3


async def test_control_tokens_in_a_text_are_text(engine: Seq2SeqEngine) -> None:
    assert await engine.count_tokens("</s>") == 4
    assert (await engine.prompt_ids(GenerateRequest(prompt="a</s>b"))).count(1) == 1


async def test_the_choice_is_the_likeliest_at_each_token(engine: Seq2SeqEngine) -> None:
    request = GenerateRequest(messages=(Message("user", "Which?"),), choices=("apple", "banana"))
    found = await engine.likelihoods(LikelihoodRequest(request=request, answers=("a", "b"), ended=False))
    wanted = "apple" if found.answers[0].logprob > found.answers[1].logprob else "banana"
    assert (await complete(engine, request)).text == wanted


async def test_a_longer_prompt_than_the_context_is_refused(files: dict[str, Path]) -> None:
    engine = engine_of(files, context=16)
    with pytest.raises(EngineError) as caught:
        await complete(engine, GenerateRequest(prompt="x" * 16, sampling=Sampling(max_tokens=4)))
    assert caught.value.status == 400
    await engine.close()


async def test_penalties_keep_a_letter_from_coming_again(engine: Seq2SeqEngine) -> None:
    free = Sampling(max_tokens=30)
    held = Sampling(max_tokens=30, frequency_penalty=2.0, presence_penalty=2.0)
    many, few = [(await complete(engine, GenerateRequest(prompt="go", sampling=one))).text for one in (free, held)]
    assert len(set(few)) > len(set(many))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", b"{", "is no encoder-decoder"),
        ("config.json", b'{"model_type": "bert"}', "model_type: bert"),
        ("config.json", b'{"model_type": "t5", "d_model": 1e9}', "d_model"),
        ("config.json", b'{"model_type": "t5", "feed_forward_proj": "gated-silu"}', "feed_forward_proj"),
        (
            "config.json",
            b'{"model_type": "t5", "d_model": 32, "num_layers": 4000, "d_kv": 8, "num_heads": 2, "feed_forward_proj": "gated-gelu", "relative_attention_num_buckets": 8}',
            "block.2",
        ),
        ("tokenizer.json", b"[]", "tokenizer.json"),
        ("model.safetensors", b"", "safetensors"),
    ],
)
async def test_a_damaged_file_is_told(
    files: dict[str, Path], tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    bad = {**files, name: tmp_path / name}
    bad[name].write_bytes(content)
    if not content:
        del bad[name]
    with pytest.raises(EngineError, match=says):
        await engine_of(bad).start()


def test_what_may_be_the_beginning_of_a_stop_is_held_back() -> None:
    tail = Tail(("END", "!"))
    assert [tail.push(text) for text in ("a", "a E", "a EN", "a ENo", "a ENo\ufffd")] == ["a", " ", "", "ENo", ""]
    assert tail.push("a ENoé END b") == "é "
    assert tail.stopped


@pytest.fixture
def pieces(files: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """A tokenizer as T5 has them: pieces of words, spaces as a letter, unknown characters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = [(token, -3.0) for token in "▁abcdefghijklmnopqrstuvwxyz"]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *letters, ("▁card", -2.0), ("▁refund", -2.0)]
    made = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    made.save(str(tmp_path / "tokenizer.json"))
    return {**files, "tokenizer.json": tmp_path / "tokenizer.json"}


async def test_a_tokenizer_of_pieces_streams_whole_texts(pieces: dict[str, Path]) -> None:
    engine = engine_of(pieces)
    request = GenerateRequest(prompt="my card", sampling=Sampling(max_tokens=40, temperature=1.5, seed=3))
    streamed = "".join([delta.text async for delta in engine.generate(request)])
    assert streamed == await engine.text_of(await engine.answer_ids(request))
    assert await engine.count_tokens("my card") == 4
    choices = ("card refund", "refund  card", "refund 卡")
    answer = await complete(engine, GenerateRequest(prompt="which", choices=choices))
    assert answer.text in choices, "as it was given, not as the tokenizer spells it"
    await engine.close()


async def test_choices_that_the_model_cannot_tell_apart_are_refused(pieces: dict[str, Path]) -> None:
    engine = engine_of(pieces)
    with pytest.raises(EngineError, match="the same to the model") as caught:
        await complete(engine, GenerateRequest(prompt="which", choices=("卡片", "退款")))
    assert caught.value.status == 400
    await engine.close()
