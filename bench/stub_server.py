"""An OpenAI-compatible endpoint that answers at once with fixed words: what stands behind the gateway in benchmarks.

    python bench/stub_server.py PORT [--tokens 16] [--delay 0.0]        (port 0 takes a free one)

It parses as little of HTTP as it can, so that it is not the bottleneck: what is measured is what stands in front of
it. Streams (SSE, one token a chunk) when the request says `"stream":true`; then `--tokens` sets how many chunks.
"""

from __future__ import annotations

import argparse
import asyncio
import json

import uvloop


def whole(tokens: int) -> bytes:
    body = json.dumps({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "stub",
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": None,
            "message": {"role": "assistant", "content": " ".join(["word"] * tokens)},
        }],
        "usage": {"prompt_tokens": 12, "completion_tokens": tokens, "total_tokens": 12 + tokens},
    }).encode()  # fmt: skip
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def pieces(tokens: int) -> list[bytes]:
    def chunk(delta: dict, finish: str | None = None, **more: object) -> bytes:
        data = {
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "stub",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more,
        }  # fmt: skip
        event = b"data: " + json.dumps(data).encode() + b"\n\n"
        return f"{len(event):x}\r\n".encode() + event + b"\r\n"

    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    out = [head + chunk({"role": "assistant", "content": ""})]
    out += [chunk({"content": "word " if n < tokens - 1 else "word"}) for n in range(tokens)]
    usage = {"prompt_tokens": 12, "completion_tokens": tokens, "total_tokens": 12 + tokens}
    out.append(chunk({}, "stop", usage=usage) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    return out


class Stub(asyncio.Protocol):
    def __init__(self, tokens: int, delay: float) -> None:
        self.buffer = b""
        self.whole, self.pieces, self.delay = whole(tokens), pieces(tokens), delay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            at = head.lower().find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < size:
                return
            body, self.buffer = rest[:size], rest[size:]
            asyncio.get_running_loop().call_later(self.delay, self.answer, body) if self.delay else self.answer(body)

    def answer(self, body: bytes) -> None:
        if b'"stream":true' in body or b'"stream": true' in body:
            self.transport.writelines(self.pieces)
        else:
            self.transport.write(self.whole)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--delay", type=float, default=0.0)
    args = parser.parse_args()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stub(args.tokens, args.delay), "127.0.0.1", args.port, backlog=1024)
    print(f"ready on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
