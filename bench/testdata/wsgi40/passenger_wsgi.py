"""An application of about 40 MB: a third of it code, the rest data, as routes,
translations and cached records are. A request uses some of both: of one in
USE of them, which the environment says."""

import asyncio, ctypes, csv, decimal, email.message, http.client, json, logging, os, random  # noqa: E401, F401
import sqlite3, ssl, tarfile, unittest, urllib.request, xml.dom.minidom, xmlrpc.client  # noqa: E401, F401

ACTIONS = []
for n in range(6000):
    exec(f"""
def action_{n}(params):
    number = int(params.get("id", {n}))
    total = sum(i * {n} for i in range(number % 7))
    return "action {n} of %d: %d %s" % (number, total, ",".join(sorted(params)))
ACTIONS.append(action_{n})
""")

RECORDS = [
    {"id": n, "name": "record number %d" % n, "price": n * 1.25, "tags": ["tag%d" % (n % 97), "kind%d" % (n % 13)]}
    for n in range(50000)
]
USED = int(os.environ["USE"])
RECORDS_USED = len(RECORDS) // USED
ACTIONS_USED = len(ACTIONS) // USED


def application(environ, start_response):
    n = random.randrange(RECORDS_USED)
    records = [RECORDS[(n + i * 37) % RECORDS_USED] for i in range(20)]
    body = ACTIONS[n % ACTIONS_USED]({"id": str(n)}) + json.dumps(records)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
