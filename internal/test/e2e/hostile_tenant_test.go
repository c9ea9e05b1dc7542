package e2e_test

// hostileApp does what a request names, as its own user, and responds with what it got
// hold of (took) and what stopped it (refused).
const hostileApp = `
import errno, json, os, resource, socket, sys, threading, time, urllib.parse

held, loot = [], []
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

def attempt(what, result, do):
    try:
        result["took"][what] = str(do())[:200]
    except Exception as e:
        result["refused"][what] = repr(e)

def content(path):
    with open(path, "rb") as f:
        return f.read(200)

# Files, and what the kernel shows of processes.
def read(result, paths, pids):
    for path in paths:
        attempt(path, result, lambda: content(path))
        attempt("write " + path, result, lambda: open(path, "r+b").close())
        attempt("link " + path, result, lambda: os.link(path, "tmp/hard"))
    for pid in pids:
        for name in "environ", "mem", "maps", "io":
            attempt("/proc/%s/%s" % (pid, name), result, lambda: content("/proc/%s/%s" % (pid, name)))
        for name in "fd", "map_files":
            attempt("/proc/%s/%s" % (pid, name), result, lambda: os.listdir("/proc/%s/%s" % (pid, name)))
        for name in "cwd", "exe":
            attempt("/proc/%s/%s" % (pid, name), result, lambda: os.readlink("/proc/%s/%s" % (pid, name)))
        attempt("kill %s" % pid, result, lambda: os.kill(int(pid), 0))

def talk(path, say):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    s.sendall(say)
    reply = b""
    while more := s.recv(4096):
        reply += more
    return reply

def head(method, target, headers):
    lines = ["%s %s HTTP/1.1" % (method, target), "Host: victim.test", "Connection: close"]
    return ("\r\n".join(lines + ["%s: %s" % h for h in headers]) + "\r\n\r\n").encode()

def scgi(params):
    first = [("CONTENT_LENGTH", "0"), ("SCGI", "1"), ("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/")]
    fields = "".join("%s\0%s\0" % p for p in first + params)
    return ("%d:%s," % (len(fields), fields)).encode()

# Sockets of others; on ours and the admin's, 403 and 401 are what is right.
def connect(result, paths, front, victim):
    options = [("app_root", victim), ("user", "root"), ("app_start_command", "/usr/bin/id")]
    says = {"no password": [], "an empty one": [("password", "")], "a wrong one": [("password", "x" * 52)]}
    for name, more in says.items():
        header = [("X-Passenger-" + k.replace("_", "-"), v) for k, v in options + more]
        header += [
            ("X-Passenger-Options", "app-root, user, app-start-command"),
            ("!~Passenger-Password", "x"),
            ("!~Passenger-Envvars", "QQA="),
            ("X-Forwarded-For", "192.0.2.66"),
            ("X-Forwarded-Proto", "https"),
        ]
        params = [("PASSENGER_" + k.upper(), v) for k, v in options + more]
        for how, say in ("HTTP", head("GET", "/", header)), ("SCGI", scgi(params)):
            reply = talk(front, say)
            outcome = "refused" if b" 403 " in reply.split(b"\n")[0] + b" " else "took"
            result[outcome]["%s with %s" % (how, name)] = reply.decode()[:300]

    # The admin API shows a user their own applications, and does nothing to those of others.
    group = json.dumps({"name": victim + " (production)", "method": "blocking"})
    calls = [
        ("GET", "/pool.json?form=snapshot", ""),
        ("GET", "/pool.txt", ""),
        ("GET", "/config.json", ""),
        ("GET", "/server.json", ""),
        ("POST", "/pool/restart_app_group.json", group),
        ("POST", "/shutdown.json", "{}"),
        ("POST", "/reload.json", "{}"),
        ("PUT", "/config.json", "{}"),
    ]
    for path in paths:
        for method, target, body in calls:
            for header in [], [("Authorization", "Basic YWRtaW46eA==")]:
                what = "%s %s %s %s" % (path, method, target, header)
                fields = header + [("Content-Type", "application/json"), ("Content-Length", len(body))]
                try:
                    reply = talk(path, head(method, target, fields) + body.encode()).decode()
                except Exception as e:
                    reply = repr(e)
                allowed = target.startswith(("/pool.", "/server."))
                theirs = victim in reply or " 200 " in reply.split("\r\n")[0] and not allowed
                result["took" if theirs else "refused"][what] = reply[:200]

# Half heads, by both protocols, and no heads at all.
def flood(result, front, n):
    says = b"GET / HTTP/1.1\r\nHost: victim.test\r\nX-Half: ", b"70000:CONTENT_LENGTH\0", b"", b"PRI * HTTP/2.0\r\n"
    for i in range(n):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        try:
            s.connect(front)
            s.sendall(says[i % len(says)])
        except (BrokenPipeError, ConnectionResetError):
            pass
        held.append(s)
    result["refused"]["connections"] = str(len(held))

# Processes that have nothing left of what has started them.
def fork(result, n):
    for i in range(n):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve("/bin/sleep", ["sleep", "1000"], {})
            os._exit(0)
    for i in range(n):
        os.wait()

def own_socket_dir():
    for fd in os.listdir("/proc/self/fd"):
        try:
            name = socket.socket(fileno=os.dup(int(fd))).getsockname()
        except OSError:
            continue
        if isinstance(name, str) and name.startswith("/"):
            return os.path.dirname(name)

def fill(result, deep, full):
    at = own_socket_dir()
    here = os.getcwd()
    os.chdir(at)
    for i in range(full):
        open("f%d" % i, "w").close()
    for i in range(deep):
        os.mkdir("d")
        os.chdir("d")
    os.symlink("/etc", "etc")
    os.chdir(here)
    os.chmod(at + "/d", 0)
    result["refused"]["directory"] = at

def links(result, secret, victim):
    for link, to in [
        ("public/secret.txt", secret),
        ("public/all", victim),
        ("tmp/always_restart.txt", "/dev/zero"),
        ("tmp/restart.txt", secret),
    ]:
        if os.path.lexists(link):
            os.remove(link)
        os.symlink(to, link)
    attempt("hard", result, lambda: os.link(secret, "public/hard.txt"))
    attempt("in the other's", result, lambda: os.symlink("/etc", victim + "/public/link"))
    attempt("restart the other's", result, lambda: open(victim + "/tmp/restart.txt", "w").close())

def steal(result, port):
    listener = socket.create_server(("127.0.0.1", port))
    held.append(listener)
    def serve():
        while True:
            s, _ = listener.accept()
            got = s.recv(4096)
            if got:
                loot.append(got.decode())
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")
            s.close()
    threading.Thread(target=serve, daemon=True).start()

def spoils(result):
    for i, got in enumerate(loot):
        result["took"][i] = got

def die(result):
    os._exit(1)

attacks = {f.__name__: f for f in (read, connect, flood, fork, fill, links, steal, spoils, die)}

def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    if name == "sendfile":
        path = urllib.parse.unquote(environ["QUERY_STRING"])
        start_response("200 OK", [
            ("Content-Type", "text/plain"),
            ("X-Sendfile", path),
            ("X-Accel-Redirect", path),
            ("!~Request-OOB-Work", "true"),
            ("Connection", "close, x-evil"),
        ])
        return [b""]
    if name == "hang":
        time.sleep(1000)
    result = {"UID": os.getuid(), "PID": os.getpid(), "Env": dict(os.environ), "took": {}, "refused": {}}
    if name in attacks:
        attacks[name](result, **json.loads(urllib.parse.unquote(environ["QUERY_STRING"]) or "{}"))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(result).encode()]
`
