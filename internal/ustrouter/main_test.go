package ustrouter_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/internal/ustrouter"
)

// These make the test binary a router with a file, until SIGTERM or the end of
// its stdin, or a client of a router, which prints the router's replies.
const (
	routerVariable = "USTROUTER_TEST_ROUTER"
	callerVariable = "USTROUTER_TEST_CALLER"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(routerVariable) != "":
		must(runRouter())
	case os.Getenv(callerVariable) != "":
		must(callRouter(os.Getenv(callerVariable)))
	default:
		os.Exit(leakgate.Package(m.Run))
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runRouter has as its arguments socket and file.
func runRouter() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		stop()
	}()
	socket, file, _ := strings.Cut(os.Getenv(routerVariable), ":")
	c := ustrouter.Config{Socket: socket, File: file}
	sinks, err := ustrouter.Open(c, logr.Discard())
	if err != nil {
		return err
	}

	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}

	fmt.Println("up")
	if err := ustrouter.NewRouter(c, sinks, logr.Discard()).Serve(ctx, l); err != nil {
		return err
	}

	return sinks.Close(context.Background())
}

func callRouter(socket string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}

	b := make([]byte, 1)
	n, err := c.Read(b)
	fmt.Println(n, err)

	return nil
}

const patience = 20 * time.Second

// until waits until ok, looking whenever something may have changed.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, patience, 5*time.Millisecond, what)
}
