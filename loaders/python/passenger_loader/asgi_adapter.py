"""What an ASGI application sees of its requests beyond what its server can know."""

import asyncio
import contextlib
import hmac
import re
import sys
import urllib.parse

from . import events
from .api import OOB_WORK_WISHES

SERVICE_RESTART = 1012  # in the registry of WebSocket close codes

SCHEMES = {"http": ("http", "https"), "websocket": ("ws", "wss")}

HOST = b"host"
FORWARDED_PROTO = b"x-forwarded-proto"
PASSWORD = b"x-passenger-connect-password"
CONTROL = b"!~passenger-control"
CLIENT = b"!~passenger-client"
# Programs that the application starts take it for the address of their proxy.
PROXY = b"proxy"
# Others are for the process, or could pass for one of these in an environment, where "-" becomes "_".
SAFE_NAME = re.compile(rb"[A-Za-z0-9-]+")
OWN_FIELDS = frozenset((HOST, FORWARDED_PROTO, PASSWORD, CONTROL))
REQUEST_OOB_WORK = (b"!~request-oob-work", b"true")

REFUSAL = b"This request was refused: its header X-Passenger-Connect-Password is not the connect password.\n"


class Adapter:
    """An application between whose requests and the server of its environment we stand.

    The client's address and scheme are those that the server in front of us vouches for, and the server is the one that
    the client has asked for: our socket has neither host nor port, and some applications need both.
    """

    def __init__(self, application, base, password, on_start):
        self._application = _of_two(application) if _takes_scope_alone(application) else application
        self._base = "" if base == "/" else urllib.parse.unquote(base)
        self._base_segments = base.count("/")
        self._path_is_whole = not _splits_paths_itself()
        self._password = password.encode("utf-8")
        self._on_start = on_start
        self._state = {}
        self._requests = 0
        self._websockets = set()
        self._ending = None
        # The port of direct access, whose requests come from anybody on this machine.
        self.direct_port = None

    async def __call__(self, scope, receive, send):
        kind = scope["type"]
        if kind not in SCHEMES:
            await self._lifespan(scope, receive, send)
            return

        refusal = self._complete(scope, SCHEMES[kind])
        if refusal is not None:
            await refusal(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        else:
            # Each call on the way of a request costs more than it does by itself: nothing is in a cache.
            self._requests += 1
            try:
                await self._application(scope, receive, _asking(scope, send))
            finally:
                self._requests -= 1
                if self._ending is not None and not self._requests:
                    self._ending.set()

    async def _lifespan(self, scope, receive, send):
        """Tells how the application's start ended; one that knows no such scope has started."""
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return

        scope.setdefault("state", self._state)
        self._state = scope["state"]
        told = False

        async def tell(message):
            nonlocal told
            if message["type"].startswith("lifespan.startup."):
                told = True
                self._on_start(message["type"] == "lifespan.startup.complete", message.get("message", ""))

            await send(message)

        try:
            await self._application(scope, receive, tell)
        finally:
            if not told:
                self._on_start(True, "")

    def _complete(self, scope, schemes):
        """Completes a scope, which is the application's alone, and returns what responds in its place, or None.

        This is on the way of each request: the fields are looked at once.
        """
        client, host, secure, control, passwords = None, None, False, False, []
        headers = scope["headers"]
        if headers and headers[-1][0] == CLIENT:
            # The server in front has it at the end.
            scope["headers"] = headers = list(headers)
            client = headers.pop()[1]

        for name, value in headers:
            if name not in OWN_FIELDS:
                continue

            if name == HOST:
                host = value
            elif name == FORWARDED_PROTO:
                secure = value == b"https"
            elif name == CONTROL:
                control = True
            elif name == PASSWORD:
                passwords.append(value)

        if self.direct_port is not None and self._is_direct(scope):
            # Anybody can say in the fields of a request what the server in front vouches for.
            if len(passwords) != 1 or not hmac.compare_digest(passwords[0], self._password):
                return _refuse

            scope["headers"] = [(name, value) for name, value in headers if not _is_hidden(name)]
        elif control:
            return _work_out_of_band
        else:
            scope["scheme"] = schemes[secure]
            scope["client"] = None if client is None else _address(client)
            if host is not None:
                scope["server"] = _server(host, secure)

        # Servers before the specification's version with it do not know it.
        if "state" not in scope:
            scope["state"] = self._state.copy()

        if self._base:
            self._place(scope)

        return None

    def _is_direct(self, scope):
        server = scope.get("server")
        return server is not None and server[1] == self.direct_port

    def _place(self, scope):
        scope["root_path"] = self._base
        if self._path_is_whole or not scope["path"].startswith(self._base):
            return

        scope["path"] = scope["path"][len(self._base):] or "/"
        if scope.get("raw_path"):
            scope["raw_path"] = _below(scope["raw_path"], self._base_segments)

    async def _websocket(self, scope, receive, send):
        self._websockets.add(send)
        try:
            await self._application(scope, receive, send)
        finally:
            self._websockets.discard(send)

    async def finish(self):
        """Ends WebSockets, whose clients connect to another process then, and waits for the requests in hand."""
        self._ending = asyncio.Event()
        for send in list(self._websockets):
            with contextlib.suppress(Exception):
                await send({"type": "websocket.close", "code": SERVICE_RESTART})

        if self._requests:
            await self._ending.wait()


def _is_hidden(name):
    """Says whether a field of direct access is not for the application."""
    return name in (PASSWORD, PROXY) or SAFE_NAME.fullmatch(name) is None


def _address(client):
    address, _, port = client.decode("latin-1").partition(" ")
    return address, int(port)


def _server(host, secure):
    """Returns name and port of a Host, which the server in front of us has checked."""
    name, port = host.decode("latin-1"), ""
    colon = name.rfind(":")
    if colon > name.rfind("]"):
        name, port = name[:colon], name[colon + 1:]

    return name.strip("[]"), int(port) if port else 443 if secure else 80


def _asking(scope, send):
    """Returns send, which asks for out-of-band work if the application wishes that."""
    wishes = scope[OOB_WORK_WISHES] = []

    def ask(message):
        if wishes and message["type"] == "http.response.start":
            message = dict(message, headers=[*message.get("headers", ()), REQUEST_OOB_WORK])

        return send(message)

    return ask


async def _work_out_of_band(scope, receive, send):
    events.fire("oob_work")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"oobw done"})


async def _refuse(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return

    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(REFUSAL)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": REFUSAL})


def _splits_paths_itself():
    """Says whether the path has to be without the base URI.

    The specification has the whole path in it, and so do Django and Quart. Starlette, and FastAPI with it, took
    it for the rest until its version 0.33.
    """
    starlette = sys.modules.get("starlette")
    if starlette is None:
        return False

    version = getattr(starlette, "__version__", "0").split(".")
    return version[0] == "0" and int(version[1]) < 33


def _below(path, segments):
    """Returns what is behind that many segments, which the client may have escaped in another way than we."""
    # The raw path is text in the WebSockets of older versions of uvicorn.
    slash = "/" if isinstance(path, str) else b"/"
    parts = path.split(slash, segments + 1)

    return slash + slash.join(parts[segments + 1:])


def _takes_scope_alone(application):
    """Says whether it is of ASGI 2, which is called with the scope and returns what is called with the rest."""
    code = getattr(application, "__code__", None)
    return code is not None and code.co_argcount == 1 and not asyncio.iscoroutinefunction(application)


def _of_two(application):
    async def call(scope, receive, send):
        await application(scope)(receive, send)

    return call
