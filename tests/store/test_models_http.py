"""Downloads over real HTTP on loopback: resumption, what a server may do wrong, and a hub that speaks Hugging Face's."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors

from slipway.errors import ConfigError, IntegrityError, MissingPrerequisite, NotFound, SlipwayError
from slipway.store import models
from slipway.store.models import download as download_module

WEIGHTS = save_tensors({"a.weight": np.arange(200_000, dtype=np.float32).reshape(400, 500)})
OTHER = save_tensors({"a.weight": np.ones((400, 500), np.float32)})
COMMIT = "c0ffee" * 6 + "abcd"


class Server(http.server.ThreadingHTTPServer):
    """Files by path, with ranges; `cut` bytes are sent before the connection is broken, as often as `cuts` says."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.statuses: list[int] = []  # answered to the next requests, before anything else
        self.cuts = 0
        self.cut = 0
        self.validators = True
        self.weak = False
        self.lie = 0  # bytes added to Content-Length
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        server, path = self.server, self.path
        server.seen.append((path, dict(self.headers)))
        if server.statuses:
            return self.plain(server.statuses.pop(0))
        if path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[path])
            self.send_header("Content-Length", "0")
            return self.end_headers()
        content = server.files.get(urlsplit(path).path)
        return self.plain(404) if content is None else self.content(content)

    def plain(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def content(self, content):
        etag = '"' + hashlib.sha256(content).hexdigest()[:16] + '"'
        start = 0
        if "Range" in self.headers and self.headers.get("If-Range") in (None, etag):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.plain(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.server.validators:
            self.send_header("ETag", f"W/{etag}" if self.server.weak else etag)
        self.send_header("Content-Length", str(len(content) - start + self.server.lie))
        self.end_headers()
        rest = content[start:]
        if self.server.cuts:
            self.server.cuts -= 1
            rest = rest[: self.server.cut]
        self.wfile.write(rest)
        self.close_connection = True

    def log_message(self, *parts):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """The pauses between tries are not what is tested here."""
    monkeypatch.setattr(download_module.time, "sleep", lambda seconds: None)
    for name in ("http_proxy", "HTTP_PROXY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


# -- https: (here over loopback) ---------------------------------------------------------------------------------------


def test_a_file(server, cache):
    server.files["/m/model.safetensors"] = WEIGHTS
    seen = []
    model = models.pull(f"{server.url}/m/model.safetensors", cache=cache, progress=lambda *step: seen.append(step))
    assert model.files["model.safetensors"].read_bytes() == WEIGHTS
    assert ("model.safetensors", len(WEIGHTS), len(WEIGHTS)) in seen
    server.shutdown()
    assert models.pull(f"{server.url}/m/model.safetensors", cache=cache) == model


def test_a_broken_connection_goes_on_where_it_broke(server, cache):
    server.files["/model.safetensors"] = WEIGHTS
    server.cuts, server.cut = 3, 200_000
    model = models.pull(f"{server.url}/model.safetensors", cache=cache)
    assert model.files["model.safetensors"].read_bytes() == WEIGHTS
    starts = [headers.get("Range") for _, headers in server.seen]
    assert starts == [None, "bytes=200000-", "bytes=400000-", "bytes=600000-"]
    assert all("If-Range" in headers for _, headers in server.seen[1:])


def test_another_try_goes_on_where_the_last_one_gave_up(server, cache):
    server.files["/model.safetensors"] = WEIGHTS
    source = f"{server.url}/model.safetensors"

    def interrupt(name, done, total):
        if done >= 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.pull(source, cache=cache, progress=interrupt)
    assert models.find(source, cache=cache) is None
    assert models.pull(source, cache=cache).files["model.safetensors"].read_bytes() == WEIGHTS
    assert server.seen[-1][1]["Range"].startswith("bytes=")


def test_a_file_that_changed_meanwhile_is_fetched_whole(server, cache):
    server.files["/model.safetensors"] = WEIGHTS
    source = f"{server.url}/model.safetensors"

    def interrupt(name, done, total):
        if done >= 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.pull(source, cache=cache, progress=interrupt)
    server.files["/model.safetensors"] = OTHER
    assert models.pull(source, cache=cache).files["model.safetensors"].read_bytes() == OTHER


@pytest.mark.parametrize("setting", ["validators", "weak"])
def test_without_a_strong_validator_nothing_is_pieced_together(server, cache, setting):
    server.files["/model.safetensors"] = WEIGHTS
    server.validators, server.weak = setting != "validators", setting == "weak"
    server.cuts, server.cut = 1, 200_000
    model = models.pull(f"{server.url}/model.safetensors", cache=cache)
    assert model.files["model.safetensors"].read_bytes() == WEIGHTS
    assert all("Range" not in headers for _, headers in server.seen)


def test_a_part_longer_than_the_file_is_dropped(server, cache):
    server.files["/model.safetensors"] = WEIGHTS + b"more than there will be"
    server.cuts, server.cut = 99, len(WEIGHTS) + 5
    source = f"{server.url}/model.safetensors"
    with pytest.raises(SlipwayError):
        models.pull(source, cache=cache)
    server.files["/model.safetensors"], server.cuts = WEIGHTS, 0
    assert models.pull(source, cache=cache).files["model.safetensors"].read_bytes() == WEIGHTS


def test_a_server_that_is_busy_is_asked_again(server, cache):
    server.files["/model.safetensors"] = WEIGHTS
    server.statuses = [503, 429, 500]
    assert models.pull(f"{server.url}/model.safetensors", cache=cache)


def test_a_server_that_stays_busy(server, cache):
    server.statuses = [503] * 50
    with pytest.raises(MissingPrerequisite, match="cannot be reached") as caught:
        models.pull(f"{server.url}/model.safetensors", cache=cache)
    assert caught.value.exit_code == 3
    assert len(server.statuses) > 40, "it must give up after a few tries"


def test_a_connection_that_always_breaks_at_once(server, cache):
    server.files["/model.safetensors"] = WEIGHTS
    server.cuts, server.cut = 1000, 0
    with pytest.raises(MissingPrerequisite, match="bytes arrived"):
        models.pull(f"{server.url}/model.safetensors", cache=cache)
    assert len(server.seen) < 20


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(404, NotFound, "nothing at"), (401, MissingPrerequisite, "permission"), (403, MissingPrerequisite, "HF_TOKEN"), (418, SlipwayError, "418")],
)  # fmt: skip
def test_what_a_server_refuses(server, cache, status, error, words):
    server.statuses = [status]
    with pytest.raises(error, match=words):
        models.pull(f"{server.url}/model.safetensors", cache=cache)
    assert len(server.seen) == 1


def test_nobody_listens(cache, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(MissingPrerequisite, match="cannot be reached") as caught:
        models.pull(f"{server.url}/model.safetensors", cache=cache)
    assert "file:" in caught.value.hint


def test_a_page_instead_of_a_model(server, cache):
    server.files["/model.gguf"] = b"<html>Please log in</html>" * 100
    with pytest.raises(IntegrityError, match="not a GGUF file"):
        models.pull(f"{server.url}/model.gguf", cache=cache)
    assert models.find(f"{server.url}/model.gguf", cache=cache) is None
    assert models.list_models(cache) == []


def test_a_redirect_may_not_leave_encryption(server, cache):
    server.redirects["/model.safetensors"] = "http://example.com/model.safetensors"
    with pytest.raises(ConfigError, match="plain http"):
        models.pull(f"{server.url}/model.safetensors", cache=cache)
    server.redirects["/model.safetensors"] = "file:///etc/passwd"
    with pytest.raises(SlipwayError):
        models.pull(f"{server.url}/model.safetensors", cache=cache)


# -- hf: ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(server, monkeypatch):
    """One repository: the listing of a revision with digests, and files under the commit it names."""
    monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
    files = {
        "model.safetensors": WEIGHTS,
        "config.json": b'{"model_type": "bert"}',
        "tokenizer.json": b"{}",
        "1_Pooling/config.json": b"{}",
        "onnx/model.onnx": b"onnx",
        "pytorch_model.bin": b"pickle",
        "README.md": b"# card",
    }
    siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
    siblings[0]["lfs"] = {"sha256": hashlib.sha256(WEIGHTS).hexdigest(), "size": len(WEIGHTS)}
    listing = {"sha": COMMIT, "siblings": siblings, "cardData": {"license": "apache-2.0"}}
    server.listing = listing
    server.files["/api/models/org/repo/revision/main"] = json.dumps(listing).encode()
    for name, content in files.items():
        server.files[f"/org/repo/resolve/{COMMIT}/{name}"] = content
    return server


def test_a_repository(hub, cache):
    model = models.pull("hf:org/repo", cache=cache)
    assert set(model.files) == {"model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json"}
    assert model.license == "apache-2.0"
    asked = [path for path, _ in hub.seen]
    assert asked[0] == "/api/models/org/repo/revision/main?blobs=true"
    assert all(path.startswith(f"/org/repo/resolve/{COMMIT}/") for path in asked[1:]), "all files of one commit"
    models.verify(model)


def test_a_repository_is_gone_on_with(hub, cache):
    hub.cuts, hub.cut = 1000, 0
    with pytest.raises(MissingPrerequisite):
        models.pull("hf:org/repo", cache=cache)
    hub.cuts = 0
    assert models.pull("hf:org/repo@main", cache=cache)


def test_one_file_of_a_repository(hub, cache):
    model = models.pull("hf:org/repo@main/model.safetensors", cache=cache)
    assert set(model.files) == {"model.safetensors"}
    with pytest.raises(NotFound) as caught:
        models.pull("hf:org/repo/modle.safetensors", cache=cache)
    assert "model.safetensors" in caught.value.hint
    with pytest.raises(ConfigError, match="pickled"):
        models.pull("hf:org/repo/pytorch_model.bin", cache=cache)


def test_several_gguf_files_must_be_chosen_from(hub, cache):
    listing = {
        "sha": COMMIT,
        "siblings": [{"rfilename": "a.gguf"}, {"rfilename": "b.gguf"}, {"rfilename": "config.json"}],
    }
    hub.files["/api/models/org/repo/revision/main"] = json.dumps(listing).encode()
    with pytest.raises(ConfigError, match="2 GGUF files") as caught:
        models.pull("hf:org/repo", cache=cache)
    assert "hf:org/repo/a.gguf" in caught.value.hint


def test_a_digest_that_the_hub_states_is_checked(hub, cache):
    hub.listing["siblings"][0]["lfs"]["sha256"] = "0" * 64
    hub.files["/api/models/org/repo/revision/main"] = json.dumps(hub.listing).encode()
    with pytest.raises(IntegrityError, match="sha256"):
        models.pull("hf:org/repo", cache=cache)
    assert models.list_models(cache) == []


def test_names_that_lead_out_are_not_fetched(hub, cache):
    hub.listing["siblings"].append({"rfilename": "../../evil.safetensors"})
    hub.files["/api/models/org/repo/revision/main"] = json.dumps(hub.listing).encode()
    model = models.pull("hf:org/repo", cache=cache)
    assert "evil" not in str(sorted(model.files))


def test_an_unknown_repository_and_a_hub_that_is_none(hub, cache):
    with pytest.raises(NotFound):
        models.pull("hf:org/other", cache=cache)
    hub.files["/api/models/org/repo/revision/main"] = b"<html>"
    with pytest.raises(SlipwayError, match="JSON") as caught:
        models.pull("hf:org/repo", cache=cache)
    assert "HF_ENDPOINT" in caught.value.hint


def test_the_token_goes_to_the_hub_and_nowhere_else(hub, cache, monkeypatch):
    """Large files are redirected to another host, which must not learn the token."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Server() as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        elsewhere.files["/blob"] = WEIGHTS
        hub.redirects[f"/org/repo/resolve/{COMMIT}/model.safetensors"] = f"{elsewhere.url}/blob"
        models.pull("hf:org/repo", cache=cache)
        elsewhere.shutdown()
        assert all(headers.get("Authorization") == "Bearer hf_secret" for _, headers in hub.seen)
        assert all("Authorization" not in headers for _, headers in elsewhere.seen)
        assert elsewhere.seen
