// Package inherit keeps from the programs that we start what this program was started with and is not theirs: ignored
// and blocked signals, open files, and variables by which others talk to us. They have our umask and limits.
package inherit

import (
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// MarkerVar is the variable that marks the processes of an application; see spawner.MarkerVar.
const MarkerVar = "PASSENGER_GUPID"

// IsForUs reports whether a variable belongs to how a service manager, or a program of Node.js such as pm2, talks to
// this program, has a secret by which this program reaches a collector of traces, looks for faults in its memory, or
// marks it as a process of another server's application.
func IsForUs(name string) bool {
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

// IsCollectorSecret reports whether a variable has headers for a collector of OpenTelemetry: those of all signals, or
// of traces, metrics or logs.
func IsCollectorSecret(name string) bool {
	return strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_") && strings.HasSuffix(name, "HEADERS")
}

// Environ is os.Environ without what is for us.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return IsForUs(name)
	})
}

// Start is cmd.Start for a program that gets no ignored and no blocked signals. Its environment is up to the caller,
// and CloseFiles has been called.
func Start(cmd *exec.Cmd) error {
	unignoreSignals()
	return startUnblocked(cmd)
}

// nowhere takes signals that this program ignores.
var nowhere = make(chan os.Signal, 1)

// unignoreSignals makes processes that are started from now on have the default for signals that this program ignores,
// as one does that was started by nohup, or in the background of a script. They still do nothing to this program. A
// handler, unlike a signal that is ignored, is not inherited.
func unignoreSignals() {
	for _, s := range []os.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE, unix.SIGALRM, unix.SIGTERM, unix.SIGCHLD, unix.SIGTSTP,
		unix.SIGTTIN, unix.SIGTTOU, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH,
	} {
		if signal.Ignored(s) {
			signal.Notify(nowhere, s)
		}
	}
}
