package handler_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// F2: a server without files must not take that out on its processes.
func TestRequestFailsWithoutFilesForConnections(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		exhausted := true
		app := spawnertest.Script{
			Handler: http.HandlerFunc(echo),
			BeforeDial: func(context.Context, *spawnertest.Process) error {
				if exhausted {
					return &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("socket", errno)}
				}

				return nil
			},
		}
		serve(t, app, func(s *site) {
			for range 3 {
				resp, _ := s.do(http.MethodGet, "/", "")
				require.Equal(s, http.StatusServiceUnavailable, resp.StatusCode)
				require.NotEmpty(s, resp.Header.Get("Retry-After"))
			}

			exhausted = false
			resp, _ := s.do(http.MethodGet, "/", "")
			require.Equal(s, http.StatusOK, resp.StatusCode)
			require.Equal(s, 1, s.factory.Spawns(), "it is the same process")
			require.Zero(s, s.sessions())
		})
	}
}
