"""What goes to llama.cpp's HTTP API and what comes back. Pure functions; opens no connection.

Every field that llama.cpp has a default of its own for is sent, so that a request means the same whatever build
answers: its samplers, all adapters' scales (a request that leaves them out reuses what another adapter cached), and
no truncation but the one asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from slipway.builtin.engines.checks import too_long
from slipway.builtin.engines.grammar import one_of
from slipway.core.message import Delta, FinishReason, GenerateRequest, TokenLogprob, Usage
from slipway.errors import EngineError
from slipway.i18n import t

# What the last chunk must hold; without this it repeats the whole prompt and every setting.
LAST = [
    "content", "stop", "tokens_predicted", "tokens_evaluated", "stop_type", "truncated", "timings/cache_n",
    "completion_probabilities",
]  # fmt: skip
FORCE = 1000.0  # a logit that wins over every other and loses against a grammar
RAISED = 200.0  # more than logits differ by; as a float32 it leaves them five digits
RANDOM_SEED = 0xFFFFFFFF  # llama.cpp: draw one
# Compact JSON: a small model that may put white space anywhere sometimes puts it everywhere.
GUIDANCE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def completion(request: GenerateRequest, prompt: str, scales: Sequence[float], context: int) -> dict[str, Any]:
    """The body of a streamed /completion for a checked request. `scales`: of every loaded adapter, in order."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "prompt": prompt,
        "stream": True,
        "n_predict": min(sampling.max_tokens, context),
        "stop": list(sampling.stop),
        "seed": RANDOM_SEED if sampling.seed is None else sampling.seed,
        "n_probs": request.logprobs,
        **sampler(sampling.temperature, sampling.top_p),
        "repeat_last_n": min(sampling.max_tokens, context),  # the answer's own tokens, as nearly as it can be said
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        **constant(scales),
    }
    if request.choices:
        body["grammar"] = one_of(request.choices)
        body["n_predict"] = context  # half a label is no label; the grammar ends it
    if request.json_schema is not None:
        body["json_schema"] = compact(request.json_schema)
    return body


def told_tokens(body: dict[str, Any]) -> dict[str, Any]:
    """A completion that is waited for and that tells its tokens."""
    return {**body, "stream": False, "stop": [], "return_tokens": True, "response_fields": ["tokens"]}


def sampler(temperature: float, top_p: float) -> dict[str, Any]:
    """Temperature, then nucleus, as the OpenAI API has it; llama.cpp's other samplers stay out. At temperature 0 the
    likeliest token is taken from the start: the others need not be sorted.
    """
    greedy = temperature == 0
    return {
        "samplers": ["penalties", "top_k"] if greedy else ["penalties", "temperature", "top_p"],
        "temperature": temperature,
        "top_p": top_p,
        "top_k": int(greedy),
        "min_p": 0.0,
        "repeat_penalty": 1.0,
    }


def constant(scales: Sequence[float]) -> dict[str, Any]:
    """What every request carries."""
    return {
        "cache_prompt": True,
        "lora": [{"id": at, "scale": scale} for at, scale in enumerate(scales)],
        "response_fields": LAST,
    }


def forced(prompt: Sequence[int], token: int, alternatives: int, scales: Sequence[float]) -> dict[str, Any]:
    """Make exactly `token` after `prompt`, and report its log-probability beside the most likely alternatives."""
    return {
        "prompt": list(prompt),
        "stream": False,
        "n_predict": 1,
        "n_probs": alternatives,
        "logit_bias": [[token, FORCE]],
        **sampler(0.0, 1.0),
        **constant(scales),
    }


def raised(prompt: Sequence[int], tokens: Sequence[int], scales: Sequence[float]) -> dict[str, Any]:
    """What share of their common probability each of `tokens` has after `prompt`: all are raised above the others."""
    return {
        **forced(prompt, 0, len(tokens), scales),
        "logit_bias": [[token, RAISED] for token in tokens],
        "post_sampling_probs": True,
        "samplers": [],
    }


def measured(prompt: Sequence[int], answer: int) -> dict[str, Any]:
    """Read `prompt` and make `answer` tokens whatever they are, telling how long each took."""
    return {
        "prompt": list(prompt),
        "stream": False,
        "n_predict": answer,
        "ignore_eos": True,
        "cache_prompt": False,
        **sampler(0.0, 1.0),
        "response_fields": ["timings/prompt_ms", "timings/predicted_ms"],
    }


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with llguidance told to write JSON on one line."""
    return {**schema, "x-guidance": GUIDANCE}


class Events:
    """Cuts a byte stream of server-sent events into their decoded data."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The events that `data` completes."""
        *whole, self.rest = (self.rest + data).split(b"\n\n")
        for event in whole:
            kind, _, value = event.partition(b": ")
            if kind in (b"data", b"error") and value != b"[DONE]":
                yield msgspec.json.decode(value)


def delta_of(chunk: dict[str, Any]) -> Delta:
    """One chunk of a streamed /completion."""
    logprobs = tuple(logprob(entry) for entry in chunk.get("completion_probabilities") or () if entry["bytes"])
    if not chunk["stop"]:
        return Delta(text=chunk["content"], logprobs=logprobs)
    finish: FinishReason = "length" if chunk["stop_type"] == "limit" or chunk["truncated"] else "stop"
    usage = Usage(
        prompt_tokens=chunk["tokens_evaluated"],
        completion_tokens=chunk["tokens_predicted"],
        cached_tokens=min(chunk["timings/cache_n"], chunk["tokens_evaluated"]),
    )
    return Delta(text=chunk["content"], logprobs=logprobs, finish=finish, usage=usage)


def logprob(entry: dict[str, Any], top: int | None = None) -> TokenLogprob:
    """A token as llama.cpp reports it, with at most `top` alternatives.

    Raises EngineError for a model whose weights are damaged: what is no number is null in JSON.
    """
    among = entry["top_logprobs"][:top]
    if entry["logprob"] is None or any(other["logprob"] is None for other in among):
        raise EngineError(
            t("the model computes what is no number: its weights are damaged"),
            t("fetch the file again, or use another quantisation of it"),
        )
    others = tuple((other["token"], min(0.0, other["logprob"])) for other in among)
    return TokenLogprob(token=entry["token"], logprob=min(0.0, entry["logprob"]), top=others)


def failure(name: str, error: dict[str, Any]) -> EngineError:
    """llama.cpp's error as ours: what the request did wrong is a 400, the rest is not the caller's fault."""
    kind, code, message = error.get("type"), int(error.get("code", 500)), str(error.get("message", ""))
    if kind == "exceed_context_size_error":
        return too_long(name, error["n_prompt_tokens"], error["n_ctx"])
    status = 400 if 400 <= code < 500 else 502
    return EngineError(
        t("llama.cpp refused the request to '{name}': {message}", name=name, message=message[:500]),
        status=status,
        retryable=code == 503,
    )
