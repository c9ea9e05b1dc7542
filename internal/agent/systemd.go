package agent

import (
	"fmt"
	"os"

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
				return nil, fmt.Errorf("the socket %q of systemd is not one that requests come by: give each a FileDescriptorName that is http, https or metrics", name)
			}
			sockets[name] = s
		}
	}
	return sockets, nil
}

// notify tells systemd, if it has started us, how we are.
func (i *Instance) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		i.log.Error(err, "Cannot tell systemd about this server", "socket", os.Getenv("NOTIFY_SOCKET"))
	}
}
