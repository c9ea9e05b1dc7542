"""Responds with the process's id and what was asked for; /slow?ms=N takes N ms."""

import os
import time
from urllib.parse import parse_qs

if os.path.exists("broken"):
    raise RuntimeError("broken on purpose")


def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(int(parse_qs(environ["QUERY_STRING"])["ms"][0]) / 1000)
    body = f"{os.getpid()} {environ['PATH_INFO']}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
