"""Requests of the session protocol, and their bodies."""

import hmac
import io
import struct

LENGTH = struct.Struct(">I")
MAX_HEADER = 128 * 1024


class ProtocolError(Exception):
    """The other side does not speak the session protocol."""


class Request:
    """One request: its CGI variables, without the password, and its body."""

    def __init__(self, variables, body):
        self.variables = variables
        self.body = body

    def control(self):
        """The method of a request to the process itself, else None."""
        if "REQUEST_URI" in self.variables:
            return None
        method = self.variables.get("REQUEST_METHOD", "").upper()
        return method if method in ("PING", "OOBW") else None


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


def check_password(variables, password):
    """Takes the connect password out of a request and says whether it is right."""
    got = variables.pop("PASSENGER_CONNECT_PASSWORD", "")
    return not password or hmac.compare_digest(got.encode("latin-1"), password.encode("utf-8"))


def content_length(variables):
    value = variables.get("CONTENT_LENGTH") or "0"
    if not (value.isascii() and value.isdigit()):
        raise ProtocolError("the content length %r is not a number" % value)
    return int(value)


class Body(io.RawIOBase):
    """The request's body, which ends after its content length.

    early is what of the body came with the header. What belongs to the next
    request is never read.
    """

    def __init__(self, conn, early, length):
        super().__init__()
        self._conn = conn
        self._early = early
        self.unreceived = length - len(early)

    def readable(self):
        return True

    def readinto(self, buffer):
        if self._early:
            piece, self._early = self._early[:len(buffer)], self._early[len(buffer):]
        elif self.unreceived:
            piece = self._conn.receive(min(len(buffer), self.unreceived))
            self.unreceived -= len(piece)
        else:
            piece = b""
        buffer[:len(piece)] = piece
        return len(piece)
