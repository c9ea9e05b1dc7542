package agent

import (
	"fmt"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// inheritedSockets are those that systemd has opened for us, by the names that
// they have in its units (FileDescriptorName=): http, https and metrics. A single
// one may have any name.
func inheritedSockets() (map[string]socket, error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("cannot use the sockets of systemd: %w", err)
	}

	sockets := map[string]socket{}
	for name, listeners := range named {
		if len(named) == 1 && name != httpsFile {
			name = httpFile
		}

		for _, l := range listeners {
			s, ok := l.(socket)
			if !ok || sockets[name] != nil || name != httpFile && name != httpsFile && name != metricsFile {
				return nil, fmt.Errorf("the socket %q of systemd is not one that requests come by: give each a "+
					"FileDescriptorName that is http, https or metrics", name)
			}

			sockets[name] = s
		}
	}

	return sockets, nil
}

// notifyReloading tells systemd that a reload begins; done, that it has ended, and
// how.
func (i *Instance) notifyReloading() (done func(error)) {
	i.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())

	return func(err error) {
		status := "STATUS="
		if err != nil {
			status += "The reload has failed: " + firstLine(err.Error())
		}

		i.notify(status + "\n" + daemon.SdNotifyReady)
	}
}

// firstLine is what systemd's protocol has room for.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// notify tells systemd, if it has started us, how we are.
func (i *Instance) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		i.log.Error(err, "cannot notify systemd", "socket", os.Getenv("NOTIFY_SOCKET"))
	}
}

// NotifyMainPID tells the service manager that has started this process, if one has,
// that pid is the server's process, which will tell when it is ready. systemd
// listens to none but the main process of a unit of Type=notify.
func NotifyMainPID(pid int) error {
	if _, err := daemon.SdNotify(false, fmt.Sprintf("MAINPID=%d", pid)); err != nil {
		return fmt.Errorf("cannot tell systemd the server's process at %s: %w", os.Getenv("NOTIFY_SOCKET"), err)
	}

	return nil
}
