"""Connections that requests come by, one after the other."""

import errno
import socket

from .request import Body, ProtocolError, Request, check_password, content_length, parse_header

READ_SIZE = 64 * 1024

# How much of a request body that the application left unread is thrown away to
# keep the connection open.
MAX_DRAIN = 256 * 1024


class ClientGone(ConnectionResetError):
    """The other side closed the connection in the middle of a request."""

    def __init__(self):
        super().__init__(errno.ECONNRESET, "the client closed the connection in the middle of a request")


class WrongPassword(Exception):
    """A request came without the connect password."""


class Connection:
    """A connection.

    Between requests it waits without blocking, so that a process can have many
    of them open while it serves one.
    """

    def __init__(self, sock, password):
        self._socket = sock
        self._password = password
        self._received = bytearray()
        self._skip = 0
        self._body = None
        self._lingering = False
        self.gone = False
        sock.setblocking(False)

    def fileno(self):
        return self._socket.fileno()

    # Waiting for a request.

    def poll(self):
        """Receives what is there and returns a request if it is complete.

        EOFError says that nothing more will come.
        """
        try:
            piece = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return None
        except ConnectionError:
            raise EOFError from None
        if not piece:
            raise EOFError
        skipped = min(self._skip, len(piece))
        self._skip -= skipped
        if self._lingering:
            if not self._skip:
                raise EOFError
            return None
        self._received += piece[skipped:]
        return self.next_request()

    def next_request(self):
        """Returns a request that has been received already, or None."""
        parsed = parse_header(self._received)
        if parsed is None:
            return None
        variables, end = parsed
        if not check_password(variables, self._password):
            raise WrongPassword
        length = content_length(variables)
        early = bytes(self._received[end:end + length])
        del self._received[:end + length]
        self._body = Body(self, early, length)
        self._socket.setblocking(True)
        return Request(variables, self._body)

    # Serving it.

    def receive(self, size):
        try:
            piece = self._socket.recv(size)
        except ConnectionError:
            piece = b""
        if not piece:
            self.gone = True
            raise ClientGone
        return piece

    def send(self, data):
        try:
            self._socket.sendall(data)
        except ConnectionError:
            self.gone = True
            raise ClientGone from None

    def sendfile(self, file, offset, count):
        try:
            return self._socket.sendfile(file, offset, count)
        except ConnectionError:
            self.gone = True
            raise ClientGone from None

    def can_be_kept(self):
        """Says whether what is left of the request body is worth draining."""
        return self._body.unreceived <= MAX_DRAIN

    # After it.

    def keep(self):
        """Makes the connection wait for the next request."""
        self._skip, self._body = self._body.unreceived, None
        self._socket.setblocking(False)

    def linger(self):
        """Ends the response and says whether the connection has to be polled on.

        To close it while a request body is still arriving would make the other
        side lose the response.
        """
        if self.gone or not self._body.unreceived:
            return False
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self._lingering, self._skip, self._body = True, MAX_DRAIN, None
        self._socket.setblocking(False)
        return True

    def close(self):
        self._socket.close()


__all__ = ["ClientGone", "Connection", "ProtocolError", "WrongPassword"]
