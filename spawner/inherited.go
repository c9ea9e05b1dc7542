package spawner

import (
	"slices"
	"strings"
)

// forEverybody are the variables of this program that processes of other users get: they
// say where programs are, in which language and time zone they speak, and how they
// allocate memory. All others may be a secret of the operator's, as AWS_SECRET_ACCESS_KEY
// is, or have other programs loaded, as LD_PRELOAD and NODE_OPTIONS do.
var forEverybody = []string{"PATH", "LANG", "LANGUAGE", "TZ", "TZDIR", "MALLOC_ARENA_MAX"}

// inherits reports whether a process gets a variable of this program. switched: it runs as
// another user.
func inherits(name string, switched bool) bool {
	if isForUs(name) {
		return false
	}

	return !switched || slices.Contains(forEverybody, name) || strings.HasPrefix(name, "LC_")
}

// isForUs reports whether a variable belongs to how a service manager, or a program of
// Node.js such as pm2, talks to this program, has a secret by which this program reaches a
// collector of traces, or looks for faults in its memory.
func isForUs(name string) bool {
	if IsCollectorSecret(name) {
		return true
	}

	switch name {
	case "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM",
		"CREDENTIALS_DIRECTORY", "MAINPID", "MANAGERPID", "WATCHDOG_USEC", "WATCHDOG_PID",
		"NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID",
		"MALLOC_FILL_SPACE", "MALLOC_PROTECT_BEFORE", "MALLOC_CHECK_", MarkerVar:
		return true
	}

	return strings.HasPrefix(name, "Malloc") // macOS
}

// IsCollectorSecret reports whether a variable has headers for a collector of OpenTelemetry: those of
// all signals, or of traces, metrics or logs.
func IsCollectorSecret(name string) bool {
	return strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_") && strings.HasSuffix(name, "HEADERS")
}

// IsOperators reports whether a variable belongs to the session of the operator who
// has started this program, as SSH_AUTH_SOCK does, so that another user must not have it.
func IsOperators(name string) bool {
	switch name {
	case "HOME", "USER", "LOGNAME", "SHELL":
		return true
	}

	return isForOperator(name)
}

// isForOperator reports whether the variable belongs to the session of whoever has
// started this process, and not to another one.
func isForOperator(name string) bool {
	switch name {
	case "MAIL", "OLDPWD", "XAUTHORITY", "GNUPGHOME", "KRB5CCNAME", "USERNAME":
		return true
	}

	for _, prefix := range []string{"SUDO_", "SSH_", "XDG_", "DBUS_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}

	return false
}
