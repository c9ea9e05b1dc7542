package spawner

import (
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
)

// The ports that programs without the handshake are to serve on: those
// below what the kernel gives to outgoing connections by default.
const (
	firstPort = 5000
	lastPort  = 32767
)

var (
	errNoPort = errors.New("there is no free port")
	// errPortTaken means that another program listens on the application's port.
	errPortTaken = errors.New("another program listens on the port that was allotted to the application")
)

// portRange allots ports. The zero value is usable.
type portRange struct {
	mu       sync.Mutex
	allotted map[int]bool
}

// allot returns a port that is free, and gives it to no other spawn until it
// is released. Another program of this host may still take it.
func (r *portRange) allot() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	const n = lastPort - firstPort + 1

	start := rand.IntN(n) //nolint:gosec // G404: this only keeps servers apart
	for i := range n {
		port := firstPort + (start+i)%n
		if r.allotted[port] || !isFree(port) {
			continue
		}

		if r.allotted == nil {
			r.allotted = map[int]bool{}
		}

		r.allotted[port] = true

		return port, nil
	}

	return 0, errNoPort
}

func (r *portRange) release(port int) {
	if port == 0 {
		return
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.allotted, port)
}

// isFree reports whether the port could be bound for all addresses, of IPv6 too where
// there is such. It does not listen, so that no client can connect meanwhile.
func isFree(port int) bool {
	v4 := bindable(syscall.AF_INET, &syscall.SockaddrInet4{Port: port})
	v6 := bindable(syscall.AF_INET6, &syscall.SockaddrInet6{Port: port})

	// A system without IPv6 has another error for it.
	return v4 == nil && !errors.Is(v6, syscall.EADDRINUSE)
}

func bindable(family int, at syscall.Sockaddr) error {
	// SOCK_CLOEXEC is not on all systems, and no process that is forked meanwhile may inherit the socket.
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}

	syscall.ForkLock.RUnlock()
	if err != nil {
		return err
	}

	defer func() { _ = syscall.Close(fd) }()

	if family == syscall.AF_INET6 {
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}

	return syscall.Bind(fd, at)
}
