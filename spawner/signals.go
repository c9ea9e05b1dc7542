package spawner

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

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
