"""Runs a WSGI application for one request (PEP 3333)."""

import io
import os
import re
import stat
import sys
from urllib.parse import unquote_to_bytes

from .api import OOB_WORK_WISHES
from .log import print_failure, warn

HOP_BY_HOP = frozenset([
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
    "te", "trailer", "transfer-encoding", "upgrade",
])

STATUS = re.compile(r"[1-9][0-9]{2}(?: [^\x00-\x1f\x7f]*)?")
NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FORBIDDEN_IN_VALUE = re.compile(r"[\r\n\0]")

REQUEST_OOB_WORK = ("!~Request-OOB-Work", "true")
# What begins the names of headers that are for the server only.
FOR_SERVER = "!~"

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
        return iter(lambda: self.file.read(self.block_size), b"")

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


SAME_FOR_ALL = {
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
}


def environ(request, multithread):
    """The environment that the application gets."""
    env = request.variables
    for name in ("PATH_INFO", "SCRIPT_NAME"):
        value = env.setdefault(name, "")
        if "%" in value:
            env[name] = unquote_to_bytes(value.encode("latin-1")).decode("latin-1")

    env.setdefault("QUERY_STRING", "")
    https = env.get("HTTPS", "").lower() in ("on", "1", "yes", "true")
    env.update(SAME_FOR_ALL)
    env["wsgi.url_scheme"] = "https" if https else "http"
    env["wsgi.input"] = request.body.file()
    env["wsgi.errors"] = sys.stderr
    env["wsgi.multithread"] = multithread
    env[OOB_WORK_WISHES] = []
    return env


def checked_status(status):
    if not isinstance(status, str) or not STATUS.fullmatch(status):
        raise ValueError("the status %r is not a number of three digits and a reason" % (status,))

    return status


# Names that were found right. Applications have few, and those that make them up
# get no more.
known_names = set()
MAX_KNOWN_NAMES = 256


def checked_name(name):
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError("the response header name %r is not a token" % (name,))

    if len(known_names) < MAX_KNOWN_NAMES:
        known_names.add(name)


def checked_headers(headers):
    for name, value in headers:
        if name not in known_names:
            checked_name(name)

        if not isinstance(value, str) or FORBIDDEN_IN_VALUE.search(value):
            raise ValueError("the value %r of response header %s is no string without line breaks" % (value, name))

        value.encode("latin-1")

    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


class Exchange:
    """One request and its response."""

    def __init__(self, application, conn, request, multithread):
        self._application = application
        self._conn = conn
        self._request = request
        self._multithread = multithread
        self._oob_work_wishes = ()
        self._is_head = request.variables.get("REQUEST_METHOD") == "HEAD"
        self._status = None
        self._headers = []
        self._head_sent = False
        self._keep = conn.keep_alive
        self._without_body = False
        self._chunked = False
        self._left = None  # of the content length

    def run(self):
        """Answers the request; returns whether the connection can be kept."""
        try:
            self._respond()
        except Exception:
            self._keep = False
            if not self._conn.gone:
                print_failure()
                self._send_error()

        return self._keep

    def _respond(self):
        env = environ(self._request, self._multithread)
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
        elif self._status is not None:
            raise AssertionError("start_response() was called a second time without exc_info")

        status, headers = checked_status(status), checked_headers(headers)
        self._status, self._headers = status, headers
        return self._write

    def _send_all(self, result):
        if isinstance(result, (list, tuple)) and not self._head_sent:
            length = sum(map(len, result))
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
            return

        count = min(size, self._left)
        if count:
            self._left -= self._conn.sendfile(wrapper.file, offset, count)

    def _write(self, data, body_length=None):
        if not isinstance(data, bytes):
            raise TypeError("the application's response body has a %s where bytes are due" % type(data).__name__)

        head = b"" if self._head_sent else self._head(body_length)
        if self._without_body:
            data = b""
        elif self._left is not None:
            data = self._within_length(data)

        if self._chunked and data:
            self._conn.send(b"".join([head, b"%x\r\n" % len(data), data, b"\r\n"]))
        elif head or data:
            self._conn.send(head + data)

    def _within_length(self, data):
        if len(data) > self._left:
            warn("the application sent more than its Content-Length; the rest was cut off")
            data = data[:self._left]

        self._left -= len(data)
        return data

    def _finish(self):
        if not self._head_sent:
            self._conn.send(self._head(0))

        if self._chunked:
            self._conn.send(b"0\r\n\r\n")
        elif self._left:
            self._keep = False
            warn("the application sent %d bytes less than its Content-Length" % self._left)

    def _head(self, body_length):
        """Decides on the framing; body_length is what the body is known to have."""
        if self._status is None:
            raise AssertionError("the application did not call start_response()")

        code = int(self._status[:3])
        headers, length = self._split_content_length()
        bodyless_status = code < 200 or code == 204
        self._without_body = self._is_head or bodyless_status or code == 304
        if length is None and not self._without_body:
            length = body_length

        if length is not None and not bodyless_status:
            headers.append(("Content-Length", str(length)))

        if not self._without_body:
            self._left = length
            if length is None and self._conn.keep_alive:
                self._chunked = True
                headers.append(("Transfer-Encoding", "chunked"))
            elif length is None:
                self._keep = False

        self._keep = self._keep and self._conn.can_be_kept()
        if not self._keep:
            headers.append(("Connection", "close"))

        if self._oob_work_wishes:
            headers.append(REQUEST_OOB_WORK)

        if not self._conn.from_server:
            headers = [header for header in headers if not header[0].startswith(FOR_SERVER)]

        self._head_sent = True
        lines = ["HTTP/1.1 " + self._status] + ["%s: %s" % header for header in headers]
        return "\r\n".join(lines + ["", ""]).encode("latin-1")

    def _split_content_length(self):
        headers, lengths = [], set()
        for name, value in self._headers:
            if name.lower() == "content-length":
                lengths.add(value.strip())
            else:
                headers.append((name, value))

        if not lengths:
            return headers, None

        value = lengths.pop()
        if lengths or not (value.isascii() and value.isdigit()):
            raise ValueError("the application's Content-Length is not one number")

        return headers, int(value)

    def _send_error(self):
        if self._head_sent:
            return

        self._status, self._headers = ERROR_STATUS, list(ERROR_HEADERS)
        self._left = None
        try:
            self._write(ERROR_BODY, len(ERROR_BODY))
        except ConnectionError:
            pass
