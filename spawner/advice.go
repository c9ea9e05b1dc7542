package spawner

// wording is what users read. What stands in braces is replaced: see
// diagnosis.fill.
type wording struct {
	category Category
	summary  string
	advice   string
}

var wordings = map[problem]wording{
	internalProblem: {
		CategoryInternal, "an unexpected error: {error}",
		"This should not happen. Please report it together with the log.",
	},
	factoryClosed: {CategoryInternal, "the server is shutting down", ""},
	badRequest: {
		CategoryInternal, "the application's options cannot be sent to it: {line}",
		"Options must not hold line breaks or NUL, and a start command's arguments no tabs. Change the option that " +
			"is named.",
	},
	spawnCanceled: {CategoryCanceled, "the start was called off: {error}", ""},
	dirUnusable: {
		CategoryFileSystem, "the directory {subject} for sockets and loaders cannot be used: {reason}",
		"Make sure that it exists, that there is space left, that it belongs to the user of the server and that " +
			"no other user can write to it. " +
			"A server has it in its instance_registry_dir; for a program that embeds this one it is Config.Dir, or " +
			"else in TMPDIR.",
	},
	otherUser: {
		CategoryOperatingSystem, "{error}",
		"Run the server as root, so that it can change to the application's user, or as that user, or leave the " +
			"application's user and group empty.",
	},
	unknownUser: {
		CategoryOperatingSystem, "{subject} does not exist on this host",
		"Create the user (useradd), or configure one that exists.",
	},
	unsafePlace: {
		CategoryOperatingSystem, "the owner of {subject} cannot decide which user the application runs as: {reason}",
		"Give the directory and the file to the same user (chown), or to root, and take from others the right to " +
			"write (chmod o-w); " +
			"or name the user in the server's configuration (user).",
	},
	unknownGroup: {
		CategoryOperatingSystem, "{subject} does not exist on this host",
		"Create the group (groupadd), or configure one that exists.",
	},
	userDatabase: {
		CategoryOperatingSystem, "the user database cannot be read: {error}",
		"See whether getent passwd and getent group work on this host.",
	},
	wrongIdentity: {
		CategoryOperatingSystem, "the process did not become the user that it should run as ({user}): {error}",
		"A start command must not be a program with the set-user-id bit, such as sudo or su: configure the " +
			"application's user instead.",
	},
	envFileUnusable: {
		CategoryFileSystem, "the environment file {subject} cannot be used: {reason}",
		"It must be a regular file of NAME=VALUE lines that the application's user can read. A dash in front of its " +
			"name allows it to be missing.",
	},
	settingsUnusable: {
		CategoryFileSystem, "the file {subject} with Meteor's settings cannot be used: {reason}",
		"It must be a regular file that the application's user can read.",
	},
	noPort: {
		CategoryOperatingSystem, "no TCP port is free for the application",
		"See with ss -ltn who uses the ports below 32768.",
	},
	portTaken: {
		CategoryOperatingSystem, "another program listens on port {port}, which was allotted to the application",
		"See with ss -ltnp who it is. Other servers on this host may be choosing ports at random as well: start again.",
	},
	notServingSocket: {
		CategoryTimeout, "the application neither served on the socket {subject} nor began the handshake within " +
			"{timeout}",
		"It must listen on the Unix socket in the environment variable SOCKET, for which $SOCKET stands in its " +
			"start command. " +
			"If it is only slow, raise the start time-out.",
	},
	notServing: {
		CategoryTimeout, "the application neither served on port {port} nor began the handshake within {timeout}",
		"It must listen on 127.0.0.1 and the port in the environment variable PORT ($PORT in its start command). " +
			"If it is only slow, raise the start time-out.",
	},
	loopbackDown: {
		CategoryOperatingSystem, "the application's port {port} could not be reached within {timeout}: {error}",
		"The loopback interface is down, as in a new network namespace: ip link set lo up. Or let the application " +
			"serve on a Unix socket: $SOCKET in its start command.",
	},
	servingElsewhere: {
		CategoryTimeout, "the application neither served on port {port} nor began the handshake within {timeout}; it " +
			"listens on {subject} instead",
		"Have it listen on 127.0.0.1 and the port in the environment variable PORT ($PORT in its start command), " +
			"which is another one for each process. If it listens there later, raise the start time-out.",
	},
	unhealthy: {
		CategoryHealth, "{subject} failed: {error}",
		"The application started but does not serve well: what it printed, and its own log, should say why. " +
			"If this status is right, allow it with the option health_status.",
	},
	unhealthyHost: {
		CategoryHealth, "{subject} failed: {error}",
		"An application that serves certain hosts only (Django's ALLOWED_HOSTS, Rails' config.hosts) refuses others " +
			"like this: " +
			"name one of its hosts with the option health_host. Else what it printed, and its own log, should say why.",
	},
	unhealthyPath: {
		CategoryHealth, "{subject} failed: {error}",
		"The application has nothing at this path: correct the path (health_path, warmup_paths), to which the base " +
			"URI belongs, or add a page there.",
	},
	unhealthyTooLong: {
		CategoryTimeout, "the application accepts connections on port {port}, but was not well within {timeout}: " +
			"{subject} failed: {error}",
		"See its log for what its health path waits for, or correct the health path. If it is only slow, raise the " +
			"start time-out.",
	},
	checkTimedOut: {
		CategoryTimeout, "{subject} failed: {error}",
		"The application may wait for a database or another service that does not respond. If it is only slow, raise " +
			"the option health_timeout for " +
			"a health check, and start_timeout, which bounds all of a start.",
	},
	brokenCheck: {
		CategoryHealth, "{subject} failed: {error}",
		"The application must send a whole HTTP response. What it printed, and its own log, should say what " +
			"happened to the request.",
	},
	endedInCheck: {
		CategoryHealth, "{subject} failed: {error}",
		"The application ends when it gets this request. Its output most probably says why.",
	},
	preloaderGone: {
		CategoryStartup, "the application's preloader ended when it was to fork a process ({subject})",
		"Its output and the system's log (dmesg, journalctl -k) may tell why. If the application cannot be forked, " +
			"use the spawn method direct.",
	},
	preloaderHangs: {
		CategoryTimeout, "the application's preloader did not fork a process within {timeout}",
		"Something in the application may keep the preloader busy after loading. If it cannot be forked, use the " +
			"spawn method direct.",
	},
	preloaderBroken: {
		CategoryProtocol, "the application's preloader sent a response that it should not: {error}",
		"The program that preloads the application is at fault. The spawn method direct does without it.",
	},
	foreignWorker: {
		CategoryProtocol, "{error}",
		"The program that preloads the application is at fault. The spawn method direct does without it.",
	},
	rootMissing: {
		CategoryFileSystem, "the application's directory {subject} does not exist",
		"Correct the path of the application, or of the link that leads there, or deploy it there.",
	},
	rootNotDirectory: {
		CategoryFileSystem, "the application's path {subject} is not a directory",
		"Configure the directory that the application is in, not a file of it.",
	},
	rootForbidden: {
		CategoryFileSystem, "no permission to enter {subject}, which leads to the application's directory {root}",
		"Give the application's user the right to search (x) that directory: chmod o+x {subject}, or add the user " +
			"to its group.",
	},
	rootUnusable: {
		CategoryFileSystem, "the application's directory {subject} cannot be used: {reason}",
		"Check the path and the file system.",
	},
	noApp: {
		CategoryFileSystem, "no application was found in {subject}",
		"An application is recognized by one of the files {startupfiles} in its directory, or by what its " +
			"framework makes. Correct the path, or configure the type and the startup file, or a start command.",
	},
	startupFileMissing: {
		CategoryFileSystem, "the startup file {subject} does not exist",
		"Create it, or configure the startup file that the application has.",
	},
	startupFileUnusable: {
		CategoryFileSystem, "the startup file {subject} cannot be used: {reason}",
		"It must be a regular file that the application's user can read.",
	},
	interpreterMissing: {
		CategoryFileSystem, "the interpreter {subject} was not found",
		"Install it, or configure its absolute path. It is looked for in the application's PATH, which need not be " +
			"that of your shell: version managers such as rbenv, pyenv and nvm extend PATH in interactive shells " +
			"only. A version that a file such as .ruby-version, .python-version or .nvmrc asks for is looked for " +
			"where they have it.",
	},
	versionMissing: {
		CategoryFileSystem, "{subject} is not installed; {error}",
		"Install it as the application's user ({remedy}), change the version there, or configure an interpreter by " +
			"the option {option}.",
	},
	versionUnclear: {
		CategoryFileSystem, "the version of {language} that {subject} asks for is not clear: {reason}",
		"Write one version into the file, as rbenv, pyenv, nvm, asdf or mise read it, or configure an interpreter by " +
			"the option {option}.",
	},
	versionUnsafe: {
		CategoryOperatingSystem, "{subject}, for which {remedy} asks, is not executed: {error}",
		"Give it and the directories that lead to it to the application's user or to root (chown), and take from " +
			"others the right to write (chmod go-w); or configure another interpreter by the option {option}.",
	},
	phpMissing: {
		CategoryFileSystem, "the PHP server {subject} was not found",
		"Install one: apt install php-cgi (or php-fpm), dnf install php-fpm, apk add php83-cgi; or name the program " +
			"by the option php_server. The php of the command line does not serve.",
	},
	venvUnusable: {
		CategoryFileSystem, "the virtual environment {subject} cannot be used: {reason}",
		"Make it again with a Python that is there and that the application's user may execute (python3 -m venv " +
			"--clear {subject}) and " +
			"install the application's packages into it; or remove it; or configure another Python by the option " +
			"python.",
	},
	commandMissing: {
		CategoryFileSystem, "the start command {subject} was not found",
		"Configure its absolute path, one relative to the application's directory with a slash in it, or a name " +
			"that is in the application's PATH.",
	},
	companionMissing: {
		CategoryFileSystem, "the companion's program {subject} was not found",
		"Configure its absolute path, one relative to the application's directory with a slash in it, or a name " +
			"that is in the application's PATH.",
	},
	builderMissing: {
		CategoryFileSystem, "the application has to be built at its start, and {subject} was not found",
		"Build it where Go is, as go build does in its directory, or with -o bin/NAME; or install Go, and have its " +
			"programs in the application's PATH.",
	},
	notExecutable: {
		CategoryFileSystem, "{subject} cannot be executed: {reason}",
		"It must be a regular file with the permission to execute: chmod +x {subject}.",
	},
	badInterpreter: {
		CategoryFileSystem, "{command} cannot be executed: its first line names the program {subject}, which does " +
			"not exist",
		"Correct the line that begins with #!, or install that program. Line ends of Windows (CR LF) have this " +
			"effect as well.",
	},
	badFormat: {
		CategoryOperatingSystem, "{command} is not a program for this system",
		"A script needs a first line such as #!/bin/sh; a binary must be built for this operating system and " +
			"processor.",
	},
	processLimit: {
		CategoryOperatingSystem, "the system refuses to start another process: {reason}",
		"The limit on processes is reached. Run fewer processes, or raise the user's limit (ulimit -u) or that of " +
			"the service (TasksMax) or container (pids).",
	},
	memoryLimit: {
		CategoryOperatingSystem, "there is not enough memory to start a process",
		"Run fewer processes, add memory or swap, or raise the memory limit of the service or container.",
	},
	descriptorLimit: {
		CategoryOperatingSystem, "there are not enough file descriptors to start a process: {reason}",
		"Raise the limit on open files (ulimit -n, or LimitNOFILE of the service).",
	},
	startFailed: {
		CategoryOperatingSystem, "{command} could not be started: {reason}",
		"See the error of the operating system.",
	},
	exitedCleanly: {
		CategoryStartup, "the application ended by itself without serving requests ({status})",
		"A startup file must define the application, and a start command must stay in the foreground and serve on " +
			"$PORT or speak the spawn protocol; a program that moves to the background or only runs a task ends like " +
			"this.",
	},
	exitedWithStatus: {
		CategoryStartup, "the application ended before it was ready ({status})",
		"Its output most probably says why. Start the application by hand in its directory, as its user, to see " +
			"the same.",
	},
	killedBySignal: {
		CategoryStartup, "the application crashed before it was ready ({status})",
		"A native extension or the interpreter itself is the usual culprit: reinstall native extensions for the " +
			"interpreter that is used.",
	},
	killed: {
		CategoryStartup, "the application was killed from outside before it was ready ({status})",
		"The system kills like this when memory runs out; its log (dmesg, journalctl -k) tells. Add memory or run " +
			"fewer processes.",
	},
	stdoutClosed: {
		CategoryStartup, "the application closed its stdout before it was ready",
		"An application must leave stdin and stdout open while it starts, or serve on $PORT within the start " +
			"time-out, and must not move to the background.",
	},
	moduleMissing: {
		CategoryStartup, "the application needs {subject}, which is not installed",
		"Install the application's dependencies (pip install, npm install, bundle install) for the interpreter and " +
			"the virtual environment that it is run with: {command}.",
	},
	fileMissing: {
		CategoryStartup, "the application loads {subject}, which does not exist",
		"If a build makes it, build the application (as by npm run build). Else correct the path in the code, or in " +
			"package.json, that names it.",
	},
	gemsMissing: {
		CategoryStartup, "gems of the application's bundle are not installed: {subject}",
		"Run bundle install in the application's directory, as its user and with the same Ruby: {command}.",
	},
	syntaxError: {
		CategoryStartup, "the application has a syntax error: {subject}",
		"Correct it. If the code is right, it is meant for another version of the interpreter than {command}.",
	},
	readOnly: {
		CategoryStartup, "the application writes to a file system that is read-only: {subject}",
		"Let it write to the directory that TMPDIR names (/tmp), or to a volume that is mounted where it writes, as " +
			"an emptyDir in Kubernetes. Its sockets are in the directory that instance_registry_dir names.",
	},
	noSpace: {
		CategoryStartup, "the application finds no space left on a disk: {subject}",
		"Free some space or inodes where it writes, or raise the quota of its user {user}. Its sockets are in the " +
			"directory that instance_registry_dir names.",
	},
	noDescriptors: {
		CategoryStartup, "the application may open no further files: {subject}",
		"Raise its limit on open files (app_file_descriptor_ulimit, or LimitNOFILE of the service), or let it open " +
			"fewer.",
	},
	noMemory: {
		CategoryStartup, "the application gets no memory: {subject}",
		"Add memory, run fewer processes, or raise the limit that it met: that of the service or container, of " +
			"addresses (ulimit -v), or its interpreter's own (--max-old-space-size of Node.js, memory_limit of PHP).",
	},
	noThread: {
		CategoryStartup, "the application cannot start a thread or process: {subject}",
		"The limit on processes, which threads count for, is reached. Let it start fewer, or raise the limit of its " +
			"user {user} (ulimit -u) or that of the service (TasksMax) or container (pids).",
	},
	permissionDenied: {
		CategoryStartup, "the application may not do what it needs to: {subject}",
		"It runs as {user}. Give that user the right to what is named, or run the application as the user that " +
			"its files belong to.",
	},
	portInUse: {
		CategoryStartup, "the application wants to listen on an address that is in use: {subject}",
		"End the program that listens there, or let the application listen where the server asks it to instead of on " +
			"a port of its own.",
	},
	variableMissing: {
		CategoryStartup, "the application needs the environment variable {subject}, which is not set",
		"Set it by the option envvars (--envvar {subject}=...), or in a file of NAME=VALUE lines that env_files " +
			"names (--env-file). " +
			"What your shell sets does not reach a server that something else starts.",
	},
	variableWanted: {
		CategoryStartup, "the application lacks an environment variable: {subject}",
		"Set it by the option envvars (--envvar NAME=VALUE), or in a file of NAME=VALUE lines that env_files names " +
			"(--env-file). " +
			"What your shell sets does not reach a server that something else starts.",
	},
	appExplained: {
		CategoryExplained, "the application reported an error: {message}",
		"See its message, whose traceback names the place in its code.",
	},
	notSpeaking: {
		CategoryProtocol, "{command} does not speak the spawn protocol: it said {line} at the step {step}",
		"A start command must be a program made for this server. Configure the application's type to have it " +
			"started by our loader.",
	},
	otherVersion: {
		CategoryProtocol, "{command} speaks version {line} of the spawn protocol and not version {version}",
		"Update the loader or the server, so that both speak the same version.",
	},
	protocolBroken: {
		CategoryProtocol, "{command} broke the spawn protocol: {error}",
		"The program that loads the application is at fault, or something that writes lines beginning with \"!> \" " +
			"to stdout.",
	},
	badSocket: {
		CategoryProtocol, "the application reported a socket that is not acceptable: {error}",
		"Sockets must be in the directory that the handshake names (socket_dir) and belong to its user, or be " +
			"on 127.0.0.1 or ::1.",
	},
	foreignPID: {CategoryProtocol, "{error}", "The application must report the pid of a process of its own."},
	silent: {
		CategoryTimeout, "the application said nothing within {timeout}",
		"The program started but did not begin the handshake: it may wait for something, or not be made for this " +
			"server. " +
			"If it is only slow, raise the start time-out.",
	},
	requestNotRead: {
		CategoryTimeout, "the application did not read its options within {timeout}",
		"The program that loads the application must read its stdin after it has said that it has control.",
	},
	notReady: {
		CategoryTimeout, "the application was not ready within {timeout}",
		"It was still loading. It may wait for a database or another service that does not respond; if it is only " +
			"slow, raise the start time-out.",
	},
	servesItself: {
		CategoryTimeout, "the application was not ready within {timeout}: it serves {subject} by a server of its own",
		"This server loads the application and serves it. In Python, put app.run() or uvicorn.run() below " +
			"if __name__ == \"__main__\":. In Node.js, listen with http.createServer(): TLS and HTTP/2 are for this " +
			"server.",
	},
	readyUnfinished: {
		CategoryTimeout, "the application did not finish its response within {timeout} (step {step})",
		"The program that loads the application is at fault: its response has to end with a terminator line.",
	},
}
