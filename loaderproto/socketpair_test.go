//go:build unix

package loaderproto_test

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// socketpair is what a spawner and its program really talk over.
func socketpair(t *testing.T) (spawner, program *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)

	ends := make([]*net.UnixConn, 0, len(fds))
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "socketpair")
		c, err := net.FileConn(f)
		require.NoError(t, f.Close())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		conn, ok := c.(*net.UnixConn)
		require.True(t, ok)
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		ends = append(ends, conn)
	}

	return ends[0], ends[1]
}

// The program says something and is gone, before or after the spawner has
// written a request that the program never reads.
func TestProgramGone(t *testing.T) {
	for name, tc := range map[string]struct {
		says string
		gone loaderproto.Step
		kind loaderproto.Kind
		step loaderproto.Step
	}{
		"Error before the request": {
			control + "!> Error\n!> \nwhy", loaderproto.SendRequest, loaderproto.AppError,
			loaderproto.ReadErrorText,
		},
		"Error after the request": {
			control + "!> Error\n!> \nwhy", loaderproto.AwaitReply, loaderproto.AppError,
			loaderproto.ReadErrorText,
		},
		"Error at once": {
			"!> Error\n!> \nwhy", loaderproto.AwaitHandshake, loaderproto.AppError,
			loaderproto.ReadErrorText,
		},
		"nothing before": {control, loaderproto.SendRequest, loaderproto.ExitedEarly, loaderproto.AwaitReply},
		"nothing after":  {control, loaderproto.AwaitReply, loaderproto.ExitedEarly, loaderproto.AwaitReply},
		"half a Ready after": {
			control + "!> Ready\n", loaderproto.AwaitReply, loaderproto.TruncatedBlock,
			loaderproto.ReadReady,
		},
	} {
		t.Run(name, func(t *testing.T) {
			spawner, program := socketpair(t)
			_, err := io.WriteString(program, tc.says)
			require.NoError(t, err)
			n := loaderproto.Negotiation{Progress: func(s loaderproto.Step) {
				if s == tc.gone {
					_ = program.Close()
				}
			}}
			_, _, err = n.Negotiate(spawner)

			e := requireKind(t, err, tc.kind, tc.step)
			if tc.kind == loaderproto.AppError {
				require.Equal(t, &loaderproto.Message{Text: "why"}, e.Message)
			}
		})
	}
}

// The spawner's half-close asks the program to stop.
func TestAwaitEnd(t *testing.T) {
	spawner, program := socketpair(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		loaderproto.NewLoader(program, program).AwaitEnd()
	}()
	_, err := io.WriteString(spawner, "ignored")
	require.NoError(t, err)
	require.NoError(t, spawner.CloseWrite())
	<-ended
}

func TestPreloaderGone(t *testing.T) {
	spawner, preloader := socketpair(t)
	req := fullRequest()
	require.NoError(t, loaderproto.SendSpawnCommand(spawner, &req))
	require.NoError(t, preloader.Close())
	_, _, err := loaderproto.ReadSpawnReply(spawner)
	requireKind(t, err, loaderproto.ExitedEarly, loaderproto.AwaitReply)

	err = loaderproto.SendSpawnCommand(spawner, &req)
	e := requireKind(t, err, loaderproto.WriteFailed, loaderproto.SendRequest)
	require.Equal(t, loaderproto.Internal, e.Kind.Category())
	require.ErrorIs(t, err, syscall.EPIPE)
}
