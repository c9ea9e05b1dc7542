package loaders_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Faults: R-57.
func TestGoAppDirectAccessNeedsThePassword(t *testing.T) { requireDirectAccess(t, start(t, goSpec(t))) }

// What net/http settles by itself is refused.
func TestGoAppDirectAccessRefusesAmbiguity(t *testing.T) {
	t.Parallel()
	p := start(t, goSpec(t))

	post := fmt.Sprintf(directHead, "POST", "/echo")
	for _, lengths := range []string{
		"Content-Length: 4\r\nContent-Length: 4\r\n",
		"content-length: 4\r\nCONTENT-LENGTH:4\r\n",
		"Transfer-Encoding: chunked\r\ncontent-length: 4\r\n",
	} {
		r := p.directRequest(t, "POST", post+lengths+"\r\n0\r\n\r\n")
		require.Equal(t, http.StatusBadRequest, r.StatusCode, lengths)
	}

	require.Equal(t, "Content-Length: 9\r\n",
		p.directRequest(t, "POST", post+"Content-Length: 19\r\n\r\nContent-Length: 9\r\n").body)
}

// A request by direct access that hangs does not keep the program.
func TestGoAppDirectAccessDoesNotDelayTheEnd(t *testing.T) {
	t.Parallel()
	p := start(t, goSpec(t))
	s := p.direct(t)
	s.write(t, []byte(fmt.Sprintf(directHead, "GET", "/wait")+"\r\n"))
	p.out.await(t, "waiting")
	p.requireCleanStop(t)
	s.requireClosed(t)
}

// While requests in hand keep the program, operators may still look into it.
func TestGoAppDirectAccessWhileStopping(t *testing.T) {
	t.Parallel()
	p := start(t, goSpec(t))
	idle, busy := p.http(t), p.http(t)
	require.Equal(t, "hello", idle.get(t, "/").body)
	busy.send(t, "/wait")
	p.out.await(t, "waiting")
	p.closeStdin(t)
	_, err := idle.br.ReadByte()
	require.Error(t, err)
	require.Equal(t, "ignored", p.directGet(t, "/ignore_body").body)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGUSR2))
	require.Equal(t, "finished", busy.read(t).body)
	require.Zero(t, p.exitCode(t))
}

func TestGoAppDirectAccessNeedsAPassword(t *testing.T) {
	t.Parallel()
	p := startWithoutPassword(t, goSpec(t))
	require.Len(t, p.ready.Sockets, 1)
	require.Equal(t, "hello", p.http(t).get(t, "/").body)
}
