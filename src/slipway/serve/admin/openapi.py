"""The OpenAPI description of the endpoints where models answer, made from the structs that check them."""

from __future__ import annotations

from typing import Any

import msgspec

from slipway.serve.refuse import STATUSES
from slipway.serve.requests import shapes

_ENDPOINTS: tuple[tuple[str, str, type, type | None], ...] = (
    (
        "/v1/chat/completions",
        "Answer a conversation; streams by server-sent events",
        shapes.ChatRequest,
        shapes.Completed,
    ),
    ("/v1/completions", "Continue a text; streams by server-sent events", shapes.CompletionRequest, shapes.Completed),
    ("/v1/embeddings", "Vectors of texts", shapes.EmbeddingRequest, shapes.Embedded),
    ("/generate", "Answer one prompt", shapes.GenerateBody, shapes.Generated),
    ("/v1/feedback", "Say what an answer was worth; durable when acknowledged", shapes.FeedbackBody, None),
)
_STREAMED = ("/v1/chat/completions", "/v1/completions")
_OTHER_CONTENT = {"/metrics": "text/plain; version=0.0.4; charset=utf-8"}


def describe(base: dict[str, Any]) -> dict[str, Any]:
    """`base` (the OpenAPI document of everything else) with the model endpoints and their schemas added."""
    types = [shapes.Refusal, *(kind for _, _, request, answer in _ENDPOINTS for kind in (request, answer) if kind)]
    drawn, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas = dict(zip((kind.__name__ for kind in types), drawn, strict=True))
    refusal = {"application/json": {"schema": schemas[shapes.Refusal.__name__]}}
    errors = {str(code): {"description": text, "content": refusal} for code, text in STATUSES.items()}
    paths: dict[str, Any] = {
        path: {method: _plain(path, operation, errors) for method, operation in methods.items()}
        for path, methods in base.get("paths", {}).items()
    }
    for path, summary, request, answer in _ENDPOINTS:
        content: dict[str, Any] = {"application/json": {"schema": schemas[answer.__name__] if answer else {}}}
        if path in _STREAMED:
            content["text/event-stream"] = {}
        paths.setdefault(path, {})["post"] = {
            "summary": summary,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": schemas[request.__name__]}},
            },
            "responses": {"200": {"description": "The answer", "content": content}, **errors},
        }
    return {**base, "paths": paths, "components": {"schemas": components}}


def _plain(path: str, operation: dict[str, Any], errors: dict[str, Any]) -> dict[str, Any]:
    """An operation of `base` with our refusals; /readyz says why in a shape of its own."""
    good = operation["responses"]["200"]
    if path in _OTHER_CONTENT:
        good = {**good, "content": {_OTHER_CONTENT[path]: {"schema": {"type": "string"}}}}
    own = (
        {"503": {"description": errors["503"]["description"], "content": good["content"]}} if path == "/readyz" else {}
    )
    return {**operation, "responses": {"200": good, **errors, **own}}
