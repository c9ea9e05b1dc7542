package apiserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/leakgate"
)

// callerVariable makes the test binary a caller of the API, as the user
// that it was started as: each line of its stdin is a request, and of its stdout
// a reply.
const callerVariable = "APISERVER_TEST_CALLER"

func TestMain(m *testing.M) {
	if os.Getenv(callerVariable) == "" {
		os.Exit(leakgate.Package(func() int {
			defer removeProgram()
			return m.Run()
		}))
	}

	var flood []net.Conn
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var q request
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			panic(err)
		}

		var a reply
		switch {
		case q.Flood > 0:
			flood, a = openMany(&q)
		case q.Method == "CLIENT":
			a = byClient(&q)
		case q.Method == "LISTEN":
			a = impersonate(&q)
		default:
			a = perform(context.Background(), &q)
		}

		say(a)
	}

	for _, c := range flood {
		_ = c.Close()
	}
}

func say(a reply) {
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		panic(err)
	}
}

// byClient gets something with a Client.
func byClient(q *request) reply {
	c := &apiserver.Client{Socket: q.Address, Name: q.Name, Password: q.Password}
	body, err := c.Get(context.Background(), q.Path)
	if e, ok := errors.AsType[*apiserver.UnauthorizedError](err); ok {
		return reply{Status: http.StatusUnauthorized, Body: e.Error()}
	}

	if err != nil {
		return reply{Err: err.Error()}
	}

	return reply{Status: http.StatusOK, Body: string(body)}
}

// impersonate listens, says so, and then what the first client sent.
func impersonate(q *request) reply {
	_ = os.Remove(q.Address)
	l, err := net.Listen(q.Network, q.Address)
	if err != nil {
		return reply{Err: err.Error()}
	}
	defer l.Close()
	say(reply{Status: http.StatusContinue})
	conn, err := l.Accept()
	if err != nil {
		return reply{Err: err.Error()}
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	sent := make([]byte, 4096)
	n, _ := conn.Read(sent)

	return reply{Status: http.StatusOK, Body: string(sent[:n])}
}

const patience = 20 * time.Second

// The users of these tests need not exist: the kernel only knows numbers.
const (
	alice = 61001
	bob   = 61002
	carol = 61003
)

// request is a call, of whoever makes it.
type request struct {
	Network, Address string
	Method, Path     string
	Name, Password   string
	Body             string
	Header           http.Header
	// Flood is how many connections to open, with half a head each, and
	// Survive how many of them the server keeps.
	Flood, Survive int
}

type reply struct {
	Status int
	Header http.Header
	Body   string
	Err    string
}

func perform(ctx context.Context, q *request) (a reply) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true, ExpectContinueTimeout: time.Minute,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, q.Network, q.Address)
		},
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, "http://api"+q.Path, strings.NewReader(q.Body))
	if err != nil {
		return reply{Err: err.Error()}
	}

	maps.Copy(req.Header, q.Header)
	if q.Name != "" {
		req.SetBasicAuth(q.Name, q.Password)
	}

	resp, err := transport.RoundTrip(req)
	if err != nil {
		return reply{Err: err.Error()}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{Err: err.Error()}
	}

	return reply{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
}

// openMany returns when the server has closed those that do not survive.
func openMany(q *request) (conns []net.Conn, a reply) {
	for range q.Flood {
		c, err := net.Dial(q.Network, q.Address)
		if err != nil {
			return conns, reply{Err: err.Error()}
		}

		conns = append(conns, c)
		_, _ = io.WriteString(c, "GET /pool.txt HTTP/1.1\r\nHo")
	}

	for i, c := range conns[q.Survive:] {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if n, err := c.Read(make([]byte, 1)); n > 0 || os.IsTimeout(err) {
			return conns, reply{Err: fmt.Sprintf("connection %d is still open", q.Survive+i)}
		}
	}

	return conns, reply{Status: http.StatusOK}
}

// program is the test binary where every user can execute it.
var program struct {
	once sync.Once
	path string
	err  error
}

func sharedProgram(t *testing.T) string {
	t.Helper()
	program.once.Do(func() { program.path, program.err = copyProgram() })
	require.NoError(t, program.err)

	return program.path
}

func copyProgram() (string, error) {
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		return "", err
	}

	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}

	path := filepath.Join(dir, "caller")

	return path, boxed.CopySelf(path)
}

func removeProgram() {
	if program.path != "" {
		_ = os.RemoveAll(filepath.Dir(program.path))
	}
}

// otherUser is a caller that runs as another user.
type otherUser struct {
	t     *testing.T
	stdin io.Writer
	lines *bufio.Scanner
}

// becomes starts one, which ends with the test.
func becomes(t *testing.T, uid int) *otherUser {
	t.Helper()
	interpreters.Root(t, "to become other users")
	cmd := exec.Command(sharedProgram(t))
	cmd.Env = append(os.Environ(), callerVariable+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		require.NoError(t, cmd.Wait(), stderr.String())
	})
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 64<<20)

	return &otherUser{t: t, stdin: stdin, lines: lines}
}

func (u *otherUser) call(q request) reply {
	u.t.Helper()
	u.begin(q)
	return u.result()
}

func (u *otherUser) begin(q request) {
	u.t.Helper()
	require.NoError(u.t, json.NewEncoder(u.stdin).Encode(q))
}

func (u *otherUser) result() reply {
	u.t.Helper()
	require.True(u.t, u.lines.Scan(), u.lines.Err())
	var a reply
	require.NoError(u.t, json.Unmarshal(u.lines.Bytes(), &a))
	require.Empty(u.t, a.Err)

	return a
}
