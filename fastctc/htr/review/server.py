"""The server of a review: for this machine alone, for whoever knows its token.

Everything asks for the token: the address that is printed carries it, a cookie keeps it, and what changes something
must send it in a header as well, which pages of other origins cannot. Requests must name this machine as their host,
since another name that leads here (DNS rebinding) would make a page of somebody else's one of ours. Scans are asked for
by names of a list, so that no path leads out of the folder.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import quote

from fastctc.htr.html_view import ShownLine, ShownWord, asset, view
from fastctc.htr.review.folder import Folder, Scan
from fastctc.htr.review.transcript import Conflict, Transcript

INSTALL = 'review needs Tornado: pip install "fastctc[review]"'
ADDRESS = "127.0.0.1"
PORT = 8423
LARGEST = 65_536  # bytes of a request
ASSETS = {
    "view.css": "text/css",
    "review.css": "text/css",
    "view.js": "text/javascript",
    "review.js": "text/javascript",
}
POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Server:
    """Serves a folder's review on a port of this machine.

    Parameters
    ----------
    folder : Folder
    port : int
        0: any that is free.

    Raises
    ------
    ImportError
        Without Tornado.
    OSError
        If the port is taken.
    """

    def __init__(self, folder: Folder, port: int = PORT) -> None:
        try:
            from tornado import httpserver, netutil
        except ImportError as error:
            raise ImportError(f"{INSTALL} ({error})") from None
        self.folder, self.token = folder, secrets.token_urlsafe(24)
        self.sockets = netutil.bind_sockets(port, ADDRESS)
        self.port: int = self.sockets[0].getsockname()[1]
        self.http = httpserver.HTTPServer(self._application(), max_body_size=LARGEST, max_buffer_size=2 * LARGEST)

    @property
    def url(self) -> str:
        """Where to look, with the token."""
        return f"http://{ADDRESS}:{self.port}/?token={self.token}"

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set."""
        self.http.add_sockets(self.sockets)
        try:
            await stop.wait()
        finally:
            self.http.stop()
            await self.http.close_all_connections()

    def _application(self) -> Any:
        from tornado.web import Application

        handlers = _handlers(self)
        return Application(
            [
                (r"/", handlers["Start"]),
                (r"/assets/([a-z.]+)", handlers["Asset"]),
                (r"/pages", handlers["Pages"]),
                (r"/page", handlers["Page"]),
                (r"/image", handlers["Picture"]),
                (r"/favicon.ico", handlers["Icon"]),
            ],
            log_function=lambda _: None,  # what goes wrong is said on the page
            default_handler_class=handlers["Nothing"],
        )


def _handlers(server: Server) -> dict[str, Any]:
    """Tornado's handlers, which are classes; made here, since Tornado is not always there."""
    from tornado.web import HTTPError, RequestHandler

    folder, cookie = server.folder, f"fastctc-review-{server.port}"
    hosts = {f"{ADDRESS}:{server.port}", f"localhost:{server.port}"}

    class Handler(RequestHandler):  # type: ignore[misc,unused-ignore]
        def set_default_headers(self) -> None:
            self.set_header("Server", "fastctc")
            self.set_header("Content-Security-Policy", POLICY)
            self.set_header("X-Content-Type-Options", "nosniff")
            self.set_header("Referrer-Policy", "no-referrer")
            self.set_header("Cross-Origin-Resource-Policy", "same-origin")
            self.set_header("Cache-Control", "no-store")

        def prepare(self) -> None:
            if self.request.host not in hosts:
                raise HTTPError(403, reason="Another host was meant")
            given = self.get_query_argument("token", "") if self.request.path == "/" else ""
            if not _same(given or self.get_cookie(cookie) or "", server.token):
                raise HTTPError(403, reason="Open the address that fastctc review has printed")
            if self.request.method not in ("GET", "HEAD"):
                origin = self.request.headers.get("Origin")
                if origin not in (None, *(f"http://{host}" for host in hosts)):
                    raise HTTPError(403, reason="Another page asks for this")
                if not _same(self.request.headers.get("X-Token", ""), server.token):
                    raise HTTPError(403, reason="The token is missing: open the page anew")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            error = kwargs.get("exc_info", (None, None, None))[1]
            reason = getattr(error, "reason", None) or getattr(error, "log_message", None) or self._reason
            self.set_header("Content-Type", "application/json; charset=utf-8")
            self.finish(json.dumps({"error": reason, "status": status_code}))

        def log_exception(self, kind: Any, value: Any, traceback: Any) -> None:
            if not isinstance(value, HTTPError):
                super().log_exception(kind, value, traceback)

        def answer(self, what: Any) -> None:
            self.set_header("Content-Type", "application/json; charset=utf-8")
            self.finish(json.dumps(what, ensure_ascii=False))

        def named(self) -> Scan:
            try:
                return folder.scan(self.get_query_argument("name", "", strip=False))
            except KeyError:
                raise HTTPError(404, reason="There is no such scan in the folder") from None

    class Start(Handler):
        def get(self) -> None:
            if self.get_query_argument("token", ""):
                self.set_cookie(cookie, server.token, httponly=True, samesite="Strict")
                self.redirect("/")
            else:
                self.finish(_shell(server.token, folder.root.resolve().name))

    class Asset(Handler):
        def get(self, name: str) -> None:
            if name not in ASSETS:
                raise HTTPError(404)
            self.set_header("Content-Type", f"{ASSETS[name]}; charset=utf-8")
            self.finish(asset(name))

    class Pages(Handler):
        def get(self) -> None:
            with folder.lock:
                self.answer([_summary(scan) for scan in folder.scans.values()])

    class Page(Handler):
        def get(self) -> None:
            scan = self.named()
            with folder.lock:
                if scan.transcript is None and not scan.error:
                    folder.want(scan)
                folder.refresh(scan)
                self.answer(_page(scan))

        async def post(self) -> None:
            scan = self.named()
            change = self._change()

            def done() -> dict[str, Any]:
                folder.correct(scan.name, change)
                return _page(scan)

            try:
                self.answer(await asyncio.get_running_loop().run_in_executor(None, done))
            except Conflict as error:
                self.set_status(409)
                self.answer({**_page(scan), "error": str(error)})
            except OSError as error:
                self.set_status(507)
                self.answer({"error": f"{scan.result.name} cannot be written: {error.strerror or error}"})
            except ValueError as error:
                raise HTTPError(400, reason=_one_line(str(error))) from None

        def _change(self) -> Callable[[Transcript], Transcript]:
            """What the request wants: the text of a word, or of a line, in place of what it was."""
            try:
                asked = json.loads(self.request.body)
                line, word, before, text = (asked.get(key, "") for key in ("line", "word", "before", "text"))
                if not all(isinstance(value, str) for value in (line, word, before, text)):
                    raise ValueError
            except (ValueError, AttributeError, RecursionError):
                raise HTTPError(400, reason="Must be line, word, before and text, all of them texts") from None
            if word:
                return lambda transcript: transcript.with_word(line, word, before, text)
            return lambda transcript: transcript.with_line(line, before, text)

    class Picture(Handler):
        async def get(self) -> None:
            scan = self.named()
            try:
                data = await asyncio.get_running_loop().run_in_executor(None, folder.picture, scan)
            except (OSError, ValueError, ImportError, MemoryError) as error:
                raise HTTPError(404, reason=_one_line(str(error))) from None
            self.set_header("Content-Type", "image/jpeg")
            self.set_header("Cache-Control", "private, max-age=600")
            self.finish(data)

    class Icon(Handler):
        def get(self) -> None:
            self.set_status(204)  # browsers ask for it

    class Nothing(Handler):
        def get(self) -> None:
            raise HTTPError(404)

        post = put = delete = patch = get

    return {one.__name__: one for one in (Start, Asset, Pages, Page, Picture, Icon, Nothing)}


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _one_line(text: str) -> str:
    """As the reason of an answer may be: Latin letters in one line."""
    return " ".join(text.split()).encode("ascii", "replace").decode()[:300]


def _summary(scan: Scan) -> dict[str, Any]:
    transcript = scan.transcript
    return {
        "name": scan.name,
        "state": scan.state,
        "error": scan.error,
        "warning": scan.warning,
        "revision": scan.revision,
        "doubts": transcript.n_doubts if transcript else 0,
        "settled": transcript.n_settled if transcript else 0,
    }


def _page(scan: Scan) -> dict[str, Any]:
    transcript = scan.transcript
    if transcript is None:
        return _summary(scan)
    lines = [
        ShownLine(
            line.name,
            tuple(
                ShownWord(
                    word.name, word.text, word.outline, word.confidence, _mark(transcript, line.state, word),
                    word.alternatives,
                )
                for word in line.words
            ),
            "settled" if line.settled(transcript.doubtful) else "",
            outline=line.outline,
        )
        for line in transcript.lines
    ]  # fmt: skip
    source = f"/image?name={quote(scan.name, safe='')}"
    return {**_summary(scan), "view": view(scan.name, lines, transcript.columns, transcript.rows, source)}


def _mark(transcript: Transcript, line_state: str, word: Any) -> str:
    if word.state in ("right", "corrected"):
        return str(word.state)
    return "doubtful" if not line_state and word.confidence < transcript.doubtful else ""


def _shell(token: str, title: str) -> str:
    """The page; what is on it is asked for."""
    return asset("review.html").replace("{token}", escape(token)).replace("{title}", escape(title))
