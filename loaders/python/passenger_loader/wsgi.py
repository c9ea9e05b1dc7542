"""Runs a WSGI application for one request (PEP 3333)."""

import io
import os
import re
import stat
import sys
from urllib.parse import unquote_to_bytes

from .api import OOB_WORK_WISHES
from .log import print_failure, warn

HOP_BY_HOP_NAMES = frozenset([
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
    "te", "trailer", "transfer-encoding", "upgrade",
])

# Those below 200 are interim, and who asks would wait for a final response that never comes.
STATUS = re.compile(r"[2-9][0-9]{2}(?: [ -~\x80-\xff]*)?")
NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FORBIDDEN_IN_VALUE = re.compile(r"[\r\n\0]")

REQUEST_OOB_WORK = "!~Request-OOB-Work: true\r\n"
# What begins the names of headers that are for the server only.
BEGINNING_FOR_SERVER = "!~"

# Up to this size the parts of a body that is all there are sent as one.
MAX_JOINED = 64 * 1024

ERROR_STATUS = "500 Internal Server Error"
ERROR_HEADERS = [("Content-Type", "text/plain; charset=utf-8")]
ERROR_BODY = b"Internal Server Error: the application failed. Its log says why.\n"


class FileWrapper:
    """wsgi.file_wrapper: a file as an iterable, which sendfile() may replace."""

    def __init__(self, file, block_size=64 * 1024):
        self.file = file
        self.block_size = block_size
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self):
        # One of text ends as well, where it is empty.
        while True:
            piece = self.file.read(self.block_size)
            if not piece:
                return

            yield piece

    def rest(self):
        """The offset and length of what is left of a regular file, else None.

        A file object that merely has a descriptor may read something else from
        it, as that of module gzip does.
        """
        if not isinstance(getattr(self.file, "raw", self.file), io.FileIO):
            return None

        try:
            status = os.fstat(self.file.fileno())
            offset = self.file.tell()
        except OSError:
            return None

        if not stat.S_ISREG(status.st_mode):
            return None

        return offset, max(status.st_size - offset, 0)


def environ_constants(multithread):
    """What is the same in all environments."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }


def environ(request, constants):
    """The environment that the application gets."""
    env = request.variables
    for name in ("PATH_INFO", "SCRIPT_NAME"):
        value = env.setdefault(name, "")
        if "%" in value:
            env[name] = unquote_to_bytes(value.encode("latin-1")).decode("latin-1")

    env.setdefault("QUERY_STRING", "")
    env.update(constants)
    if env.get("HTTPS", "").lower() in ("on", "1", "yes", "true"):
        env["wsgi.url_scheme"] = "https"

    env["wsgi.input"] = request.body
    env["wsgi.errors"] = sys.stderr
    env[OOB_WORK_WISHES] = []
    return env


# The numbers of statuses and the kinds of headers that were sent before. Applications
# have few, and those that make them up get no more.
MAX_KNOWN = 256
known_statuses = {}
known_names = {}

# Kinds of headers: what is sent as it is, and what the loader decides about.
PLAIN, CONTENT_LENGTH, HOP_BY_HOP, FOR_SERVER = range(4)


def checked_status(status):
    """The number of a status."""
    if not isinstance(status, str) or not STATUS.fullmatch(status):
        raise ValueError(
            "the status %r is not that of a final response, from 200 to 999, and a reason in Latin-1" % (status,)
        )

    code = int(status[:3])
    if len(known_statuses) < MAX_KNOWN:
        known_statuses[status] = code

    return code


def checked_name(name):
    """The kind of header that has this name."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError("the response header name %r is not a token" % (name,))

    folded = name.lower()
    if folded == "content-length":
        kind = CONTENT_LENGTH
    elif folded in HOP_BY_HOP_NAMES:
        kind = HOP_BY_HOP
    else:
        kind = FOR_SERVER if name.startswith(BEGINNING_FOR_SERVER) else PLAIN

    if len(known_names) < MAX_KNOWN:
        known_names[name] = kind

    return kind


def check_value(name, value):
    if not isinstance(value, str) or FORBIDDEN_IN_VALUE.search(value):
        raise ValueError("the value %r of response header %s is no string without line breaks" % (value, name))

    value.encode("latin-1")


class Exchange:
    """One request and its response."""

    def __init__(self, application, conn, request, constants):
        self._application = application
        self._conn = conn
        self._request = request
        self._constants = constants
        self._is_head = request.variables.get("REQUEST_METHOD") == "HEAD"
        self._keep = conn.keep_alive
        self._oob_work_wishes = ()
        self._code = None
        self._lines = ()  # of the head
        self._lengths = ()  # of all headers Content-Length
        self._head_sent = False
        self._without_body = False
        self._chunked = False
        self._left = None  # of the content length
        self._complete = False

    def run(self):
        """Responds to the request; returns whether the connection can be kept."""
        try:
            self._respond()
        except Exception:
            # Behind the end of a response that has not announced it, the next request may be on its way.
            if not self._complete or self._conn.gone:
                self._keep = False

            if not self._conn.gone:
                print_failure()
                self._send_error()

        return self._keep

    def _respond(self):
        env = environ(self._request, self._constants)
        self._oob_work_wishes = env[OOB_WORK_WISHES]
        result = self._application(env, self._start_response)
        try:
            if isinstance(result, FileWrapper):
                self._send_file(result)
            else:
                self._send_all(result)

            self._finish()
        finally:
            if hasattr(result, "close"):
                result.close()

    def _start_response(self, status, headers, exc_info=None):
        if exc_info:
            try:
                if self._head_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._code is not None:
            raise AssertionError("start_response() was called a second time without exc_info")

        self._set_head(status, headers)
        return self._write

    def _set_head(self, status, headers):
        code = known_statuses.get(status) or checked_status(status)
        lines, lengths = [f"HTTP/1.1 {status}\r\n"], []
        for name, value in headers:
            kind = known_names.get(name)
            if kind is None:
                kind = checked_name(name)

            if not (type(value) is str and value.isascii() and value.isprintable()):
                check_value(name, value)

            if kind == PLAIN or kind == FOR_SERVER and self._conn.from_server:
                lines.append(f"{name}: {value}\r\n")
            elif kind == CONTENT_LENGTH:
                lengths.append(value)

        self._code, self._lines, self._lengths = code, lines, lengths

    def _send_all(self, result):
        if isinstance(result, (list, tuple)) and not self._head_sent:
            length = sum(map(len, result))
            if len(result) > 1 and length <= MAX_JOINED and all(isinstance(chunk, bytes) for chunk in result):
                result = (b"".join(result),)
        else:
            length = None

        for chunk in result:
            if chunk:
                self._write(chunk, length)

    def _send_file(self, wrapper):
        rest = wrapper.rest()
        if rest is None or self._head_sent:
            self._send_all(wrapper)
            return

        offset, size = rest
        self._conn.send(self._head(size))
        if self._without_body:
            self._complete = True
            return

        count = min(size, self._left)
        if count:
            self._left -= self._conn.sendfile(wrapper.file, offset, count)

        self._complete = not self._left

    def _write(self, data, body_length=None):
        if not isinstance(data, bytes):
            raise TypeError("the application's response body has a %s where bytes are due" % type(data).__name__)

        head = b"" if self._head_sent else self._head(body_length)
        if self._without_body:
            data = b""
        elif self._left is not None:
            if len(data) > self._left:
                warn("the application sent more than its Content-Length; the rest was cut off")
                data = data[:self._left]

            self._left -= len(data)

        if self._chunked and data:
            self._conn.send(b"".join([head, b"%x\r\n" % len(data), data, b"\r\n"]))
        elif head or data:
            self._conn.send(head + data)

        self._complete = self._without_body or self._left == 0

    def _finish(self):
        if not self._head_sent:
            self._conn.send(self._head(0))

        if self._chunked:
            self._conn.send(b"0\r\n\r\n")
        elif self._left:
            self._keep = False
            warn("the application sent %d bytes less than its Content-Length" % self._left)
            return

        self._complete = True

    def _head(self, body_length):
        """Decides on the framing; body_length is what the body is known to have."""
        if self._code is None:
            raise AssertionError("the application did not call start_response()")

        lines, code, conn = self._lines, self._code, self._conn
        length = self._content_length() if self._lengths else None
        if self._is_head or code in (204, 304):
            self._without_body = True
        else:
            self._left = length = body_length if length is None else length
            if length is None and conn.keep_alive:
                self._chunked = True
                lines.append("Transfer-Encoding: chunked\r\n")
            elif length is None:
                self._keep = False

        if length is not None and code != 204:
            lines.append(f"Content-Length: {length}\r\n")

        if not (self._keep and conn.can_be_kept()):
            self._keep = False
            lines.append("Connection: close\r\n")

        if self._oob_work_wishes and conn.from_server:
            lines.append(REQUEST_OOB_WORK)

        lines.append("\r\n")
        self._head_sent = True
        return "".join(lines).encode("latin-1")

    def _content_length(self):
        """The one that the application has set."""
        value, *others = {length.strip() for length in self._lengths}
        if others or not (value.isascii() and value.isdigit()):
            raise ValueError("the application's Content-Length is not one number")

        return int(value)

    def _send_error(self):
        if self._head_sent:
            return

        self._set_head(ERROR_STATUS, ERROR_HEADERS)
        self._left = None
        try:
            self._write(ERROR_BODY, len(ERROR_BODY))
        except ConnectionError:
            pass
