"""What the process is called in ps."""

# Of the fields of /proc/self/stat behind the program's name: where its arguments begin and end in memory.
_ARG_START = 45
_ARG_END = 46


def of_worker(options):
    """The title of a process that serves requests."""
    title = options.get("process_title") or ""
    name = options.get("app_group_name") or ""
    return title and name and title + ": " + name or title


def of_preloader(options):
    """The title of the process that workers are forked from."""
    return "Passenger AppPreloader: " + (options.get("app_root") or "")


def set_title(title):
    """Sets it, by the package setproctitle if the application has it."""
    if not title:
        return

    try:
        import setproctitle
    except ImportError:
        try:
            _write("/proc/self/comm", 0, title.encode("utf-8", "surrogateescape"))
            _overwrite_arguments(title.encode("utf-8", "surrogateescape"))
        except (OSError, ValueError, IndexError):
            pass  # a title is a convenience
    else:
        setproctitle.setproctitle(title)


def _overwrite_arguments(title):
    """Puts it where ps looks. What is too long is cut: behind the arguments is the environment, which others read."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()

    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    room = end - start - 1
    if start and room > 0:
        _write("/proc/self/mem", start, title[:room].ljust(room, b"\0"))


def _write(path, at, content):
    with open(path, "r+b", buffering=0) as file:
        if at:
            file.seek(at)

        file.write(content)
