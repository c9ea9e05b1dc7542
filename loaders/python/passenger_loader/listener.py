"""The socket on which the application takes its requests."""

import os
import secrets
import socket

BACKLOG = 65535  # the kernel cuts it to what it allows


class Listener:
    """A listening socket whose file, if it has one, goes with it."""

    def __init__(self, options):
        self._owner = os.getpid()
        self._path = None
        if options.get("socket_dir"):
            self._listen_unix(options["socket_dir"], int(options.get("UNIX_PATH_MAX", 104)))
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.socket.bind(("127.0.0.1", 0))
            self.address = "tcp://127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen(BACKLOG)
        self.socket.setblocking(False)

    def _listen_unix(self, directory, path_max):
        path = os.path.join(directory, "wsgi." + secrets.token_hex(16))
        if len(os.fsencode(path)) >= path_max:
            raise OSError(
                "cannot listen on %s: a Unix socket's path has to be shorter than %d bytes. "
                "Choose a shorter instance directory." % (path, path_max)
            )
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o177)
        try:
            self.socket.bind(path)
        finally:
            os.umask(umask)
        self._path = path
        self.address = "unix:" + path

    def accept(self):
        """Returns a connection, or None if it went away before."""
        try:
            conn, _ = self.socket.accept()
        except (BlockingIOError, ConnectionError):
            return None
        if conn.family == socket.AF_INET:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return conn

    def close(self):
        self.socket.close()
        if self._path is not None and os.getpid() == self._owner:
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass
