"""The session protocol, by which the server sends requests."""

import struct

from .connection import Connection
from .request import Refused, WrongPassword, check_password

LENGTH = struct.Struct(">I")
MAX_HEADER = 128 * 1024
PASSWORD = "PASSENGER_CONNECT_PASSWORD"


class ProtocolError(Refused):
    """The other side does not speak the session protocol."""

    def __init__(self, what):
        super().__init__("closed a connection: " + what)


class SessionConnection(Connection):
    """A connection that the server opened, for one request after the other."""

    from_server = True

    def __init__(self, sock, password, keep_alive):
        super().__init__(sock)
        self._password = password
        self.keep_alive = keep_alive

    def next_request(self):
        received = self._received
        return self._take_request(received) if received else None

    def received(self, piece):
        # Most requests come in one piece and alone: nothing of it has to be kept.
        return super().received(piece) if self._received else self._take_request(piece)

    def _take_request(self, received):
        """Returns the request that was received, if it is complete, and keeps what is not of it."""
        end = header_end(received)
        if end is None:
            self._received = bytearray(received)
            return None

        variables = parse_header(received, end)
        if not check_password(variables, PASSWORD, self._password):
            raise WrongPassword

        length = content_length(variables)
        early = bytes(received[end:end + length]) if length else b""
        end += len(early)
        if end < len(received):
            self._received = bytearray(received[end:])
        elif self._received:
            self._received = bytearray()

        return self._request(variables, early, length)


class SessionEntrance:
    """Where the server connects."""

    def __init__(self, listener, password, keep_alive):
        self.listener = listener
        self._password = password.encode("utf-8")
        self._keep_alive = keep_alive

    def accept(self):
        """Returns a connection, or None if it went away before."""
        sock = self.listener.accept()
        return None if sock is None else SessionConnection(sock, self._password, self._keep_alive)


def header_end(received):
    """Returns where the header ends, or None if it is incomplete."""
    if len(received) < LENGTH.size:
        return None

    (length,) = LENGTH.unpack_from(received)
    if length > MAX_HEADER:
        raise ProtocolError("a request header of %d bytes is larger than %d" % (length, MAX_HEADER))

    end = LENGTH.size + length
    return end if end <= len(received) else None


def parse_header(received, end):
    """Returns the variables of a header that ends there."""
    parts = str(received[LENGTH.size:end], "latin-1").split("\0")
    if parts.pop() or len(parts) % 2:
        raise ProtocolError("a request header is not made of names and values")

    alternately = iter(parts)
    return dict(zip(alternately, alternately))


def content_length(variables):
    value = variables.get("CONTENT_LENGTH")
    if not value:
        return 0

    if not (value.isascii() and value.isdigit()):
        raise ProtocolError("the content length %r is not a number" % value)

    return int(value)
