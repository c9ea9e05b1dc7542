"""The sockets on which a process listens."""

import errno
import os
import socket

BACKLOG = 65535  # the kernel cuts it to what it allows
NAME_BYTES = 5  # of a socket's name, in hexadecimal digits: paths of sockets have to be short
TRIES = 10


class Listener:
    """A listening socket whose file, if it has one, goes with it."""

    def __init__(self, sock, address, path=None):
        self._owner = os.getpid()
        self._path = path
        self.socket = sock
        self.address = address
        sock.listen(BACKLOG)
        sock.setblocking(False)

    def accept(self):
        """Returns a connected socket, or None if it went away before."""
        try:
            conn, _ = self.socket.accept()
        except (BlockingIOError, ConnectionError):
            return None

        # The application's default timeout is for its own sockets.
        if conn.gettimeout() is not None:
            conn.setblocking(True)

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


def listen_tcp():
    """Listens where only this machine can connect."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    return Listener(sock, "tcp://127.0.0.1:%d" % sock.getsockname()[1])


def listen_unix(options, prefix):
    """Listens in the spawner's directory, by a short name that is free."""
    path_max = int(options.get("UNIX_PATH_MAX", 104))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for tries_left in reversed(range(TRIES)):
        path = os.path.join(options["socket_dir"], "%s.%s" % (prefix, os.urandom(NAME_BYTES).hex()))
        if len(os.fsencode(path)) >= path_max:
            raise OSError(
                "cannot listen on %s: a Unix socket's path has to be shorter than %d bytes. "
                "Choose a shorter instance directory." % (path, path_max)
            )

        umask = os.umask(0o177)
        try:
            sock.bind(path)
            return Listener(sock, "unix:" + path, path)
        except OSError as e:
            if e.errno != errno.EADDRINUSE or not tries_left:
                raise
        finally:
            os.umask(umask)
