"""Direct access to this process, by people who know the connect password."""

import math
import time

from . import http_head
from .connection import ClientGone, Connection
from .request import WrongPassword, check_password

PASSWORD = "HTTP_X_PASSENGER_CONNECT_PASSWORD"

MAX_CONNECTIONS = 32
HEAD_SECONDS = 60
LINGER_SECONDS = 5

REASONS = {400: "Bad Request", 403: "Forbidden", 411: "Length Required", 431: "Request Header Fields Too Large"}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class DirectConnection(Connection):
    """A connection for one HTTP request, which may come from anybody on this machine."""

    patience = 60

    def __init__(self, sock, entrance):
        super().__init__(sock)
        self._entrance = entrance
        self._client = sock.getpeername()
        self._searched = 0
        self._expects_continue = False
        # When it is closed if it is not being served then.
        self.deadline = time.monotonic() + HEAD_SECONDS

    def next_request(self):
        end = http_head.find_end(self._received, self._searched)
        self._searched = len(self._received)
        if end is None:
            return None

        variables = http_head.parse(self._received[:end])
        if not check_password(variables, PASSWORD, self._entrance.password):
            raise WrongPassword

        length = http_head.content_length(variables)
        host, port = self._client
        variables.update(
            SERVER_NAME="127.0.0.1", SERVER_PORT=str(self._entrance.port), REMOTE_ADDR=host, REMOTE_PORT=str(port)
        )
        self._expects_continue = (
            variables["SERVER_PROTOCOL"] == "HTTP/1.1" and variables.get("HTTP_EXPECT", "").lower() == "100-continue"
        )
        self.deadline = math.inf
        early = bytes(self._received[end:end + length])
        del self._received[:end + length]
        return self._request(variables, early, length)

    def receive(self, size):
        if self._expects_continue:
            self.send(CONTINUE)

        return super().receive(size)

    def send(self, data):
        self._expects_continue = False
        super().send(data)

    def refuse(self, refusal):
        status = getattr(refusal, "status", 403)
        reason = getattr(refusal, "reason", "its header X-Passenger-Connect-Password is not the connect password")
        text = "This request was refused: %s.\n" % reason
        head = (
            "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
            "Connection: close\r\n\r\n" % (status, REASONS[status], len(text))
        )
        try:
            self.send((head + text).encode("ascii"))
        except (ClientGone, BlockingIOError):
            return False

        return self._linger()

    def _linger(self):
        self.deadline = time.monotonic() + LINGER_SECONDS
        return super()._linger()

    def close(self):
        super().close()
        self._entrance.connections.pop(self, None)


class DirectEntrance:
    """Where people connect. Their connections are few, and have little time."""

    def __init__(self, listener, password):
        self.listener = listener
        self.password = password.encode("utf-8")
        self.port = listener.socket.getsockname()[1]
        self.connections = {}  # in the order in which they came

    def accept(self):
        """Returns a connection, or None if it went away before, or if there are too many."""
        sock = self.listener.accept()
        if sock is None:
            return None

        if len(self.connections) >= MAX_CONNECTIONS and not self._make_room():
            sock.close()
            return None

        try:
            conn = DirectConnection(sock, self)
        except OSError:
            sock.close()
            return None

        self.connections[conn] = True
        return conn

    def _make_room(self):
        """Gives up the oldest connection that has had its response."""
        for conn in self.connections:
            if conn.lingering:
                conn.deadline = -math.inf
                return True

        return False

    def seconds_left(self):
        """How long nothing has to be done about the connections; None: for ever."""
        deadline = min(conn.deadline for conn in self.connections)
        return None if deadline == math.inf else max(deadline - time.monotonic(), 0)

    def expired(self):
        now = time.monotonic()
        return [conn for conn in self.connections if conn.deadline <= now]
