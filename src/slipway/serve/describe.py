"""The OpenAPI description of the endpoints where models answer, made from the structs that check them."""

from __future__ import annotations

from typing import Any

import msgspec

from slipway.serve.shapes import (
    ChatRequest,
    Completed,
    CompletionRequest,
    Embedded,
    EmbeddingRequest,
    FeedbackBody,
    GenerateBody,
    Generated,
)

_ENDPOINTS: tuple[tuple[str, str, type, type | None], ...] = (
    ("/v1/chat/completions", "Answer a conversation; streams by server-sent events", ChatRequest, Completed),
    ("/v1/completions", "Continue a text; streams by server-sent events", CompletionRequest, Completed),
    ("/v1/embeddings", "Vectors of texts", EmbeddingRequest, Embedded),
    ("/generate", "Answer one prompt", GenerateBody, Generated),
    ("/v1/feedback", "Say what an answer was worth; durable when acknowledged", FeedbackBody, None),
)
_ERRORS = {
    "400": "The request is wrong; `error.message` says what to change",
    "401": "An API key is needed, or not valid",
    "403": "The Host or Origin header is not allowed",
    "404": "No such model, release or trace",
    "413": "The body is too large",
    "429": "The queue is full; Retry-After says when to come back",
    "502": "The model failed",
    "503": "Not ready, shutting down, or the record could not be made durable",
    "504": "No answer within the deadline",
}


def describe(base: dict[str, Any]) -> dict[str, Any]:
    """`base` (the OpenAPI document of everything else) with the model endpoints and their schemas added."""
    types = [kind for _, _, request, answer in _ENDPOINTS for kind in (request, answer) if kind]
    shapes, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas = dict(zip((kind.__name__ for kind in types), shapes, strict=True))
    paths: dict[str, Any] = {path: dict(methods) for path, methods in base.get("paths", {}).items()}
    for path, summary, request, answer in _ENDPOINTS:
        good: dict[str, Any] = {"description": "The answer"}
        if answer:
            good["content"] = {"application/json": {"schema": schemas[answer.__name__]}}
        paths.setdefault(path, {})["post"] = {
            "summary": summary,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": schemas[request.__name__]}},
            },
            "responses": {"200": good, **{code: {"description": text} for code, text in _ERRORS.items()}},
        }
    known = {**base.get("components", {}).get("schemas", {}), **components}
    return {**base, "paths": paths, "components": {**base.get("components", {}), "schemas": known}}
