"""Requests, whatever protocol they come by, and their bodies."""

import io

# Module hmac has the same, and loads OpenSSL for what is not needed here.
from _operator import _compare_digest as compare_digest

CONTROL_METHODS = ("PING", "OOBW")


class Refused(Exception):
    """A request that is not served. Its text is for the log and has no secrets."""


class WrongPassword(Refused):
    """A request came without the connect password."""

    def __init__(self):
        super().__init__("refused a request with a wrong connect password")


class Request:
    """One request: its CGI variables, without the password, and its body as a file object."""

    __slots__ = ("variables", "body")

    def __init__(self, variables, body):
        self.variables = variables
        self.body = body

    def control(self):
        """The method of a request to the process itself, else None."""
        if "REQUEST_URI" in self.variables:
            return None

        method = self.variables.get("REQUEST_METHOD", "").upper()
        return method if method in CONTROL_METHODS else None


def check_password(variables, name, password):
    """Takes the connect password out of a request and returns whether it is right: these bytes."""
    got = variables.pop(name, "")
    return not password or compare_digest(got.encode("latin-1"), password)


class Body(io.RawIOBase):
    """The body of a request that has not been received as a whole; it ends after its content length.

    early is what of the body came with the header. What belongs to the next
    request is never read.
    """

    def __init__(self, conn, early, length):
        super().__init__()
        self._conn = conn
        self._early = early
        self.unreceived = length - len(early)

    def file(self):
        """The body as a file object."""
        return io.BufferedReader(self, 64 * 1024)

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
