package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// inheritedSockets are those that systemd has opened for us, by the names that
// they have in its units (FileDescriptorName=): http, https and metrics, of each of which there may be
// several. Those that all have the same name, such as the one of a unit with two addresses, may have any.
// A socket that cannot be used is an error: without it, the server would listen at another place than the unit says.
func inheritedSockets() (map[string]socket, error) {
	pid, number, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")

	// Neither the core nor an application may take the sockets for its own.
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name)
	}

	// They may be another process's, from which we have inherited the variables only.
	if pid != strconv.Itoa(os.Getpid()) || number == "" {
		return map[string]socket{}, nil
	}

	count, err := strconv.Atoi(number)
	if err != nil || count < 0 {
		return nil, fmt.Errorf("cannot use the sockets of systemd: LISTEN_FDS is %q, not a number of sockets: correct "+
			"what starts the server", number)
	}

	named := map[string][]socket{}

	given := strings.Split(names, ":")
	for i := range count {
		name := ""
		if i < len(given) {
			name = given[i]
		}

		s, err := inheritedSocket(firstSocket + i)
		if err != nil {
			return nil, fmt.Errorf("cannot use the socket number %d of %d, %q, of systemd: %w", i+1, count, name, err)
		}

		named[name] = append(named[name], s)
	}

	return ports(named)
}

// ports returns the sockets of systemd by the names that the core gets them by.
func ports(named map[string][]socket) (map[string]socket, error) {
	sockets := map[string]socket{}
	for name, all := range named {
		port := name
		if len(named) == 1 && name != httpsFile {
			port = httpFile
		}

		if port != httpFile && port != httpsFile && port != metricsFile {
			return nil, fmt.Errorf("the socket %q of systemd is not one that requests come by: give each a "+
				"FileDescriptorName that is http, https or metrics, or all the same", name)
		}

		if len(all) > maxAddresses {
			return nil, fmt.Errorf("systemd has opened %d sockets of the name %q: there may be %d of one name",
				len(all), name, maxAddresses)
		}

		for n, s := range all {
			sockets[portName(port, n)] = s
		}
	}

	return sockets, nil
}

// firstSocket is the descriptor of the first socket of systemd.
const firstSocket = 3

// inheritedSocket takes a descriptor if it is a socket that listens. Others are left alone: they may be in use.
func inheritedSocket(fd int) (socket, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case errors.Is(err, unix.EBADF):
		return nil, fmt.Errorf("the descriptor %d is closed: LISTEN_FDS must be the number of sockets", fd)
	case errors.Is(err, unix.ENOTSOCK):
		return nil, fmt.Errorf("the descriptor %d is no socket: LISTEN_FDS must be the number of sockets, "+
			"and the unit have ListenStream= only", fd)
	case err != nil:
		return nil, fmt.Errorf("the descriptor %d: %w", fd, err)
	case kind != unix.SOCK_STREAM:
		return nil, fmt.Errorf("the descriptor %d is no stream socket: the unit must have ListenStream= only", fd)
	}

	// An accepted connection is a stream socket as well.
	if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens == 0 {
		return nil, fmt.Errorf("the descriptor %d is a socket that does not listen, such as a connection: the unit "+
			"must have Accept=no", fd)
	}

	f := os.NewFile(uintptr(fd), "socket")
	// The listener has a copy.
	defer func() { _ = f.Close() }()

	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("the descriptor %d: %w", fd, err)
	}

	s, ok := l.(socket)
	if !ok {
		_ = l.Close()
		return nil, fmt.Errorf("the descriptor %d is a socket of an unknown kind: it must be one of TCP or a Unix "+
			"socket", fd)
	}

	return s, nil
}

// notifyReloading tells systemd that a reload begins, and asks for more time until it ends; done tells how it has.
func (i *Instance) notifyReloading() (done func(error)) {
	i.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())

	ended := make(chan struct{})
	var extending sync.WaitGroup
	extending.Go(func() {
		ticker := time.NewTicker(extendInterval)
		defer ticker.Stop()

		for {
			select {
			case <-ticker.C:
				i.notifyExtension()
			case <-ended:
				return
			}
		}
	})

	return func(err error) {
		close(ended)
		extending.Wait()

		status := "STATUS="
		if err != nil {
			status += "The reload has failed: " + firstLine(err.Error())
		}

		i.notify(status + "\n" + daemon.SdNotifyReady)
	}
}

// notifyExtension asks systemd for more time.
func (i *Instance) notifyExtension() {
	i.notify(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extension.Microseconds()))
}

// firstLine is what systemd's protocol has room for.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// notifyTime is how long the service manager may leave its socket full.
const notifyTime = time.Second

// sendNotification sends systemd, if it has started us, a message. Unlike daemon.SdNotify, it does not
// wait for a service manager that does not read.
func sendNotification(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}

	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}

	defer func() { _ = conn.Close() }()

	if err := conn.SetWriteDeadline(time.Now().Add(notifyTime)); err != nil {
		return err
	}

	_, err = conn.Write([]byte(state))

	return err
}

// notify tells systemd, if it has started us, how we are.
func (i *Instance) notify(state string) {
	if err := sendNotification(state); err != nil {
		i.log.Error(err, "cannot notify systemd", "socket", os.Getenv("NOTIFY_SOCKET"))
	}
}

// NotifyMainPID tells the service manager that has started this process, if one has,
// that pid is the server's process, which will tell when it is ready. systemd
// listens to none but the main process of a unit of Type=notify.
func NotifyMainPID(pid int) error {
	if err := sendNotification(fmt.Sprintf("MAINPID=%d", pid)); err != nil {
		return fmt.Errorf("cannot tell systemd the server's process at %s: %w", os.Getenv("NOTIFY_SOCKET"), err)
	}

	return nil
}
