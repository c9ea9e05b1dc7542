"""Connections that requests come by."""

import errno
import socket
from io import BytesIO

from .request import Body, Request

READ_SIZE = 64 * 1024

# How much of a request body that the application left unread is thrown away to
# keep the connection open.
MAX_DRAIN = 256 * 1024


class ClientGone(ConnectionResetError):
    """The other side closed the connection in the middle of a request."""

    def __init__(self):
        super().__init__(errno.ECONNRESET, "the client closed the connection in the middle of a request")


class Connection:
    """A connection. Its subclasses know what a request looks like.

    Between requests it waits without blocking, so that a process can have many
    of them open while it serves one.
    """

    # Whether it can stay open after a request.
    keep_alive = False
    # Whether the other side is the server, which gets headers that clients do not.
    from_server = False
    # For how many seconds the other side may be silent while its request is served.
    patience = None

    def __init__(self, sock):
        self._socket = sock
        self._received = bytearray()
        self._skip = 0
        self._body = None
        self.lingering = False
        self.gone = False
        # Without a time limit the socket can block all the time: polling it
        # does not, and nothing has to be switched.
        self._flags = socket.MSG_DONTWAIT if self.patience is None else 0
        self._wait_for_requests()

    def fileno(self):
        return self._socket.fileno()

    # Waiting for a request.

    def poll(self, buffer):
        """Receives what is there and returns a request if it is complete.

        EOFError says that nothing more will come. The buffer is overwritten.
        """
        try:
            size = self._socket.recv_into(buffer, 0, self._flags)
        except BlockingIOError:
            return None
        except ConnectionError:
            raise EOFError from None

        if not size:
            raise EOFError

        if not self._skip and not self.lingering:
            return self.received(buffer[:size])

        skipped = min(self._skip, size)
        self._skip -= skipped
        if self.lingering:
            if not self._skip:
                raise EOFError

            return None

        return self.received(buffer[skipped:size])

    def received(self, piece):
        """Returns a request if it is complete with this piece, which is overwritten later."""
        self._received += piece
        return self.next_request()

    def next_request(self):
        """Returns a request that has been received already, or None."""
        raise NotImplementedError

    def refuse(self, refusal):
        """Says whether the connection has to be polled on after a refusal."""
        return False

    def _request(self, variables, early, length):
        """Returns a request with a body of that length; early is what has been received of it."""
        if not self._flags:
            self._socket.settimeout(self.patience)

        if len(early) == length:
            return Request(variables, BytesIO(early))

        self._body = Body(self, early, length)
        return Request(variables, self._body.file())

    def _unreceived(self):
        """How many bytes of the request's body have not been received."""
        return 0 if self._body is None else self._body.unreceived

    # Serving it.

    def receive(self, size):
        try:
            piece = self._socket.recv(size)
        except (ConnectionError, socket.timeout):
            piece = b""

        if not piece:
            self.gone = True
            raise ClientGone

        return piece

    def send(self, data):
        try:
            self._socket.sendall(data)
        except (ConnectionError, socket.timeout):
            self.gone = True
            raise ClientGone from None

    def sendfile(self, file, offset, count):
        try:
            return self._socket.sendfile(file, offset, count)
        except (ConnectionError, socket.timeout):
            self.gone = True
            raise ClientGone from None

    def can_be_kept(self):
        """Says whether what is left of the request body is worth draining."""
        return self._body is None or self._body.unreceived <= MAX_DRAIN

    # After it.

    def keep(self):
        """Makes the connection wait for the next request."""
        if self._body is not None:
            self._skip, self._body = self._body.unreceived, None

        if not self._flags:
            self._wait_for_requests()

    def finish(self):
        """Ends the response and returns whether the connection has to be polled on.

        To close it while a request body is still arriving would make the other
        side lose the response.
        """
        return not self.gone and self._unreceived() > 0 and self._linger()

    def _linger(self):
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False

        self.lingering, self._skip, self._body = True, MAX_DRAIN, None
        self._wait_for_requests()
        return True

    def _wait_for_requests(self):
        if not self._flags:
            self._socket.setblocking(False)

    def close(self):
        self._socket.close()
