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
        parsed = parse_header(self._received)
        if parsed is None:
            return None

        variables, end = parsed
        if not check_password(variables, PASSWORD, self._password):
            raise WrongPassword

        return self._request(variables, end, content_length(variables))


class SessionEntrance:
    """Where the server connects."""

    def __init__(self, listener, password, keep_alive):
        self.listener = listener
        self._password = password
        self._keep_alive = keep_alive

    def accept(self):
        """Returns a connection, or None if it went away before."""
        sock = self.listener.accept()
        return None if sock is None else SessionConnection(sock, self._password, self._keep_alive)


def parse_header(received):
    """Returns the variables and the header's length, or None if it is incomplete."""
    if len(received) < LENGTH.size:
        return None

    (length,) = LENGTH.unpack_from(received)
    if length > MAX_HEADER:
        raise ProtocolError("a request header of %d bytes is larger than %d" % (length, MAX_HEADER))

    end = LENGTH.size + length
    if len(received) < end:
        return None

    parts = received[LENGTH.size:end].decode("latin-1").split("\0")
    if parts.pop() or len(parts) % 2:
        raise ProtocolError("a request header is not made of names and values")

    return dict(zip(parts[::2], parts[1::2])), end


def content_length(variables):
    value = variables.get("CONTENT_LENGTH") or "0"
    if not (value.isascii() and value.isdigit()):
        raise ProtocolError("the content length %r is not a number" % value)

    return int(value)
