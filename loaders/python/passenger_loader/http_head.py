"""Heads of HTTP/1 requests, from clients that may be anybody."""

import re

from .request import Refused

MAX_HEAD = 128 * 1024
MAX_FIELDS = 100

# More digits than these are no length that anybody has sent.
MAX_LENGTH_DIGITS = 18

END = re.compile(rb"\r?\n\r?\n")
REQUEST_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) (HTTP/1\.[01])")
ORIGIN = re.compile(r"https?://[^/?]+", re.IGNORECASE)
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Others could pass for one of these in an environment, where "-" becomes "_".
SAFE_NAME = re.compile(r"[A-Za-z0-9-]+")
CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

WITHOUT_PREFIX = ("CONTENT_TYPE", "CONTENT_LENGTH")
AT_MOST_ONCE = ("CONTENT_LENGTH", "HTTP_HOST", "HTTP_TRANSFER_ENCODING")


class BadRequest(Refused):
    """A request that gets an error as response."""

    def __init__(self, status, reason):
        super().__init__("refused a request for direct access: " + reason)
        self.status = status
        self.reason = reason


def find_end(received, searched):
    """Returns where a head ends, or None if it is incomplete.

    searched is how much of it had been received before.
    """
    found = END.search(received, max(searched - 3, 0))
    end = len(received) if found is None else found.end()
    if end > MAX_HEAD:
        raise BadRequest(431, "its head is larger than %d bytes" % MAX_HEAD)

    return None if found is None else end


def parse(head):
    """Returns the CGI variables of a head."""
    line, *fields = head.decode("latin-1")[:-4].split("\r\n")
    matched = REQUEST_LINE.fullmatch(line)
    if matched is None or not head.endswith(b"\r\n\r\n"):
        raise BadRequest(400, "it does not begin with a request line of HTTP/1.0 or HTTP/1.1")

    if len(fields) > MAX_FIELDS:
        raise BadRequest(431, "it has more than %d header fields" % MAX_FIELDS)

    method, target, protocol = matched.groups()
    target, absolute = ORIGIN.subn("", target, 1) if target[0] != "/" else (target, 0)
    if absolute and target[:1] != "/":
        target = "/" + target

    if target[:1] != "/":
        raise BadRequest(400, "its target is no path")

    path, _, query = target.partition("?")
    variables = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": protocol,
    }
    for field in fields:
        _add_field(variables, field)

    return variables


def _add_field(variables, field):
    name, colon, value = field.partition(":")
    value = value.strip(" \t")
    if not colon or not TOKEN.fullmatch(name) or CONTROL_CHARACTER.search(value):
        raise BadRequest(400, "a header field is malformed")

    if not SAFE_NAME.fullmatch(name) or name.lower() == "proxy":
        return

    key = name.upper().replace("-", "_")
    if key not in WITHOUT_PREFIX:
        key = "HTTP_" + key

    if key not in variables:
        variables[key] = value
    elif key in AT_MOST_ONCE:
        raise BadRequest(400, "it has several fields " + name)
    else:
        variables[key] += ("; " if key == "HTTP_COOKIE" else ", ") + value


def content_length(variables):
    length = variables.get("CONTENT_LENGTH")
    if "HTTP_TRANSFER_ENCODING" in variables:
        if length is not None:
            raise BadRequest(400, "it has both Content-Length and Transfer-Encoding")

        raise BadRequest(411, "it has no Content-Length; chunked bodies are not taken here")

    if length is None:
        return 0

    if not (length.isascii() and length.isdigit() and len(length) <= MAX_LENGTH_DIGITS):
        raise BadRequest(400, "its Content-Length is not one number")

    return int(length)
