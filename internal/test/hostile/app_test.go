package hostile_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/gopassenger/passenger/loaderproto"
)

const (
	// appVar makes the test binary the application's process; it is the
	// protocol.
	appVar = "HOSTILE_APP"
	// controlVar is the socket of the test.
	controlVar = "HOSTILE_CONTROL"
)

// playApp is the application's process. It listens, and hands each connection
// to the test, with the password that requests on it have.
func playApp(protocol loaderproto.Protocol) error {
	loader := loaderproto.NewLoader(os.Stdin, os.Stdout)
	options, err := loader.Handshake()
	if err != nil {
		return err
	}

	control, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Net: "unixpacket", Name: os.Getenv(controlVar)})
	if err != nil {
		return err
	}

	l, err := listenAsApp(protocol, options)
	if err != nil {
		return err
	}

	go handOver(l, control, options["connect_password"])
	ready := &loaderproto.Ready{PID: os.Getpid(), Sockets: []loaderproto.Socket{{
		Name: "main", Protocol: protocol,
		Address: loaderproto.Address{Network: l.Addr().Network(), Addr: l.Addr().String()},
	}}}
	if protocol == loaderproto.Session {
		ready.Features = []string{loaderproto.FeatureSessionKeepAlive}
	}

	if err := loader.Ready(ready); err != nil {
		return err
	}

	loader.AwaitEnd()

	return nil
}

// listenAsApp: HTTP comes by TCP, whose connections can be reset.
func listenAsApp(protocol loaderproto.Protocol, options loaderproto.Options) (net.Listener, error) {
	network, address := "tcp", "127.0.0.1:0"
	if protocol == loaderproto.Session {
		network, address = "unix", filepath.Join(options["socket_dir"], "hostile."+strconv.Itoa(os.Getpid()))
	}

	return (&net.ListenConfig{}).Listen(context.Background(), network, address)
}

func handOver(l net.Listener, control *net.UnixConn, password string) {
	for {
		c, err := l.Accept()
		if err == nil {
			err = sendConn(control, password, c)
			_ = c.Close()
		}

		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func sendConn(control *net.UnixConn, password string, c net.Conn) error {
	system, ok := c.(syscall.Conn)
	if !ok {
		return fmt.Errorf("no descriptor in a %T", c)
	}

	raw, err := system.SyscallConn()
	if err != nil {
		return err
	}

	controlErr := raw.Control(func(fd uintptr) {
		_, _, err = control.WriteMsgUnix([]byte("password "+password), syscall.UnixRights(int(fd)), nil)
	})
	if err == nil {
		err = controlErr
	}

	return err
}

// receiveConn is the other end of sendConn.
func receiveConn(control *net.UnixConn) (c net.Conn, password string, err error) {
	text, rights := make([]byte, 1<<10), make([]byte, syscall.CmsgSpace(4))
	n, m, _, _, err := control.ReadMsgUnix(text, rights)
	if err != nil {
		return nil, "", err
	}

	messages, err := syscall.ParseSocketControlMessage(rights[:m])
	if err != nil {
		return nil, "", err
	}

	if len(messages) == 0 {
		return nil, "", net.ErrClosed // the process has ended
	}

	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, "", err
	}

	f := os.NewFile(uintptr(fds[0]), "connection")
	defer func() { _ = f.Close() }()
	c, err = net.FileConn(f)

	return c, string(text[len("password "):n]), err
}
