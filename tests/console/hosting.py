"""What the tests of the console share: a server with one, and texts that would act if they could."""

from __future__ import annotations

import http.server

from served import Running
from slipway.console.routes import make_console
from slipway.loop.context import Context
from slipway.release.bundle import verify
from slipway.runtime.cost import make_cost
from slipway.runtime.session import Session
from slipway.serve.resources import ServeContext

HOSTILE = (
    "<script>document.title='ran'</script>", '"><img src="{url}/image" onerror="document.title=\'ran\'">',
    "<svg onload=\"document.title='ran'\">", "![x]({url}/markdown) [y](javascript:document.title='ran')",
    "\x1b[31m\u202egnirts\u2066", "</blockquote></main><form action='{url}/form'><input name=key autofocus>",
)  # fmt: skip


def context(project: Context, **config: object) -> ServeContext:
    store = project.store
    return ServeContext(
        project=project.project.name,
        config=project.project.serve.model_copy(update={"port": 0, **config}),
        store=store,
        session=Session(
            store, project.locate, make_cost(project.project, project.rate_of), project.tell, project.plugins
        ),
        verify=lambda release: verify(release, store, project.locate),
        console=make_console(project),
    )


class Canary(http.server.ThreadingHTTPServer):
    """Remembers the path of every request."""

    paths: list[str]


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Canary)
        self.server.paths.append(self.path)
        self.send_response(204)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def ask_hostile(server: Running, canary: Canary) -> None:
    """An ordinary question and all hostile ones, each with feedback of the same kind."""
    server.until("/readyz")
    for text in ("How much does the keel weigh?", *HOSTILE):
        shown = text.replace("{url}", f"http://127.0.0.1:{canary.server_port}")
        reply = server.chat(shown, model="demo")
        said = {"trace": reply.headers["x-slipway-trace"], "thumb": "down", "comment": shown, "correction": shown}
        assert server.post("/v1/feedback", said).status < 300
