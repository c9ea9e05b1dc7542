BODIES = {"/": b"Hello, world!\n", "/64k": b"x" * (64 << 10), "/1m": b"x" * (1 << 20)}


async def application(scope, receive, send):
    assert scope["type"] == "http"
    status, body = 200, BODIES.get(scope["path"])
    if scope["method"] == "POST" and scope["path"] == "/upload":
        length, more = 0, True
        while more:
            message = await receive()
            length, more = length + len(message.get("body", b"")), message.get("more_body")
        body = b"%d\n" % length
    elif body is None:
        status, body = 404, b"not found\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
