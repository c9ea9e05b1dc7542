package spawner_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner"
)

// The loader in examples/perl-loader was written from docs/loader-protocol.md
// and docs/session-protocol.md. These tests show that those pages suffice.

const perlExample = "../examples/perl-loader"

// perlApp is an application in Perl: that of the example, or the given source.
func perlApp(t *testing.T, source string) spawner.App {
	t.Helper()
	perl := interpreters.Find(t, "perl", "perl")
	loader, err := filepath.Abs(filepath.Join(perlExample, "psgi_loader.pl"))
	require.NoError(t, err)
	root, err := filepath.Abs(filepath.Join(perlExample, "app"))
	require.NoError(t, err)
	if source != "" {
		root = t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(root, "app.psgi"), []byte(source), 0o600))
	}

	return spawner.App{
		Root:         root,
		GroupName:    "perl",
		StartCommand: []string{perl, loader},
		StartTimeout: patience,
	}
}

// sum stands for what is too large to be printed.
func sum(s string) string { return fmt.Sprintf("%d bytes, %x", len(s), sha256.Sum256([]byte(s))) }

func TestPerlLoader(t *testing.T) {
	t.Parallel()
	s := newSite(t, perlApp(t, ""))
	resp, home := s.get(t, "/")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/plain", resp.Header.Get("Content-Type"))
	require.Contains(t, home, "has served 1 requests.")

	resp, body := s.ask(t, http.MethodHead, "/", http.NoBody)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.EqualValues(t, len(home), resp.ContentLength)
	require.Empty(t, body)

	for _, size := range []int{0, 1, 1 << 10, 3 << 20} {
		sent := strings.Repeat("Grüße\x00\n", size/9+1)[:size]
		_, body = s.ask(t, http.MethodPost, "/echo", strings.NewReader(sent))
		require.Equal(t, sum(sent), sum(body))

		// Without a length.
		_, body = s.ask(t, http.MethodPost, "/echo", io.MultiReader(strings.NewReader(sent)))
		require.Equal(t, sum(sent), sum(body))
	}

	_, body = s.get(t, "/stream")
	require.Equal(t, "line 1\nline 2\nline 3\n", body)
	source, err := os.ReadFile(filepath.Join(perlExample, "app", "app.psgi"))
	require.NoError(t, err)
	_, body = s.get(t, "/source")
	require.Equal(t, string(source), body)
	resp, body = s.get(t, "/n%C3%A4chste?x=%20")
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	require.Equal(t, "There is nothing at /nächste.\n", body)

	// A request that fails is one that fails.
	resp, body = s.ask(t, http.MethodPost, "/die", strings.NewReader("not read"))
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	require.NotContains(t, body, "as was asked for")
	require.Eventually(t, func() bool { return len(s.log.lines("the application failed: as was asked for")) == 1 },
		patience, time.Millisecond)
	_, body = s.get(t, "/")
	require.Contains(t, body, "has served 3 requests.")
}

// A connection serves on after a body that the application has not read. The handler
// sends bodies whole: else the response may be there before one is sent, and that ends
// the connection.
func TestPerlLoaderKeepsConnections(t *testing.T) {
	t.Parallel()

	s := newSite(t, perlApp(t, ""), func(c *handler.Config) { c.StreamRequests = false })
	for range 20 {
		s.get(t, "/")
		s.ask(t, http.MethodPost, "/", strings.NewReader("not read"))
	}

	require.EqualValues(t, 1, s.dials.Load(), "all came by one connection")

	// More than is worth reading ends the connection, and no more than that.
	_, body := s.ask(t, http.MethodPost, "/", bytes.NewReader(make([]byte, 3<<20)))
	require.Contains(t, body, "has served 41 requests.")
	_, body = s.get(t, "/")
	require.Contains(t, body, "has served 42 requests.")
	require.EqualValues(t, 2, s.dials.Load())
}

// What fails after the response has begun does not look like a whole response.
func TestPerlLoaderCutsResponses(t *testing.T) {
	t.Parallel()
	s := newSite(t, perlApp(t, `sub {
		return sub {
			my $writer = $_[0]->([200, []]);
			$writer->write("begun");
			die "in the middle\n";
		};
	}`))
	unsent, sender := io.Pipe()
	defer sender.Close()

	for _, test := range []struct {
		body   io.Reader
		length int64
	}{
		{http.NoBody, 0},
		{strings.NewReader("not read"), 8},
		{unsent, 100 << 10},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, test.body)
		require.NoError(t, err)
		r.ContentLength = test.length
		resp, err := s.client.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, "begun", string(body))
		require.NoError(t, resp.Body.Close())
	}
}

// The response for an application that fails has a body, also where the application's has none.
func TestPerlLoaderFailsWithoutBody(t *testing.T) {
	t.Parallel()
	s := newSite(t, perlApp(t, `
package Failing;
sub getline { die "as the first line is read\n" }
sub close { 1 }
package main;
sub { return [substr($_[0]{PATH_INFO}, 1), [], bless {}, "Failing"] };`))

	for _, status := range []string{"200", "204", "304"} {
		resp, body := s.get(t, "/"+status)
		require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
		require.Equal(t, "The application failed. Its log says why.\n", body, status)
	}

	resp, body := s.ask(t, http.MethodHead, "/204", http.NoBody)
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	require.Empty(t, body)
}

// Clients may go away at any time.
func TestPerlLoaderOutlivesClients(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.start(t, perlApp(t, `sub {
		my ($env) = @_;
		1 while $env->{"psgi.input"}->read(my $data, 1024);
		return [200, [], [$$]] unless $env->{PATH_INFO} eq "/endless";
		return sub {
			my $writer = $_[0]->([200, []]);
			$writer->write("x" x 65536) while 1;
		};
	}`))

	password := p.Info().ConnectPassword
	for _, request := range [][]byte{
		perlRequest(t, "/endless", password),
		perlRequest(t, "/", password, "CONTENT_LENGTH", "10"),
		perlRequest(t, "/", password)[:10],
	} {
		c := dialPerl(t, p)
		c.send(t, request)
		if bytes.Contains(request, []byte("/endless")) {
			_, err := c.br.ReadByte()
			require.NoError(t, err)
		}

		require.NoError(t, c.Close())
	}

	c := dialPerl(t, p)
	c.send(t, perlRequest(t, "/", password))
	body, keeps := c.read(t)
	require.Equal(t, strconv.Itoa(p.Info().PID), body)
	require.True(t, keeps)
	require.NotContains(t, f.log.String(), "failed")
}

func TestPerlLoaderReportsErrors(t *testing.T) {
	t.Parallel()

	for source, text := range map[string]string{
		`die "there is no database\n"`:     "there is no database",
		`use No::Such::Module; sub {}`:     "No/Such/Module.pm",
		`my $x = ; sub {}`:                 "syntax error at",
		`1`:                                "not a code reference",
		`system "sleep 60 &"; die "alas"`:  "alas",
		`print "no newline"; die "alas\n"`: "alas",
	} {
		f := newFixture(t)
		a := perlApp(t, source)
		e := f.fail(t, a)
		require.Equal(t, spawner.CategoryExplained, e.Category, source)
		require.Contains(t, e.Message.Text, text)
		require.Equal(t, "exit status 1", e.ExitStatus)
		requireFailedStep(t, e.Journey, spawner.StepLoad)
	}

	a := perlApp(t, "1")
	a.StartupFile = "other.psgi"
	e := newFixture(t).fail(t, a)
	require.Contains(t, e.Summary, "other.psgi")
}

// perlConn speaks the session protocol with a process.
type perlConn struct {
	net.Conn
	br *bufio.Reader
}

func dialPerl(t *testing.T, p spawner.Process) *perlConn {
	t.Helper()
	conn, err := p.Info().Sockets[0].Dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))

	return &perlConn{conn, bufio.NewReader(conn)}
}

// perlRequest encodes the header of a request; more are names and values.
func perlRequest(t *testing.T, path, password string, more ...string) []byte {
	t.Helper()
	var e sessionproto.Encoder

	pairs := append([]string{
		"REQUEST_METHOD", "GET", "REQUEST_URI", path, "PATH_INFO", path, "SCRIPT_NAME", "",
		"PASSENGER_CONNECT_PASSWORD", password,
	}, more...)
	for i := 0; i < len(pairs); i += 2 {
		e.Add(pairs[i], pairs[i+1])
	}

	b, err := e.Bytes()
	require.NoError(t, err)

	return b
}

func (c *perlConn) send(t *testing.T, b []byte) {
	t.Helper()
	_, err := c.Write(b)
	require.NoError(t, err)
}

// read reads a response, and returns whether the connection stays open.
func (c *perlConn) read(t *testing.T) (body string, keeps bool) {
	t.Helper()
	resp, err := http.ReadResponse(c.br, nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	return string(b), !resp.Close
}

// requireServed reads the response that says how many requests there were.
func (c *perlConn) requireServed(t *testing.T, n int) {
	t.Helper()
	body, keeps := c.read(t)
	require.Contains(t, body, fmt.Sprintf("has served %d ", n))
	require.True(t, keeps)
}

// readAll reads up to the end of the connection.
func (c *perlConn) readAll(t *testing.T) string {
	t.Helper()
	b, err := io.ReadAll(c.br)
	require.NoError(t, err)

	return string(b)
}

func TestPerlLoaderConnections(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.start(t, perlApp(t, ""))
	info := p.Info()
	require.Len(t, info.Sockets, 1)
	require.True(t, info.Sockets[0].SessionKeepAlive)
	require.Equal(t, loaderproto.Session, info.Sockets[0].Protocol)
	request := perlRequest(t, "/", info.ConnectPassword)

	// An idle connection, a silent one and half a header hold up nothing.
	idle, _, half := dialPerl(t, p), dialPerl(t, p), dialPerl(t, p)
	idle.send(t, request)
	idle.requireServed(t, 1)
	half.send(t, request[:9])
	other := dialPerl(t, p)
	other.send(t, request)
	other.requireServed(t, 2)
	half.send(t, request[9:])
	half.requireServed(t, 3)
	idle.send(t, request)
	idle.requireServed(t, 4)

	for control, reply := range map[string]string{
		sessionproto.MethodPing: sessionproto.PingReply,
		sessionproto.MethodOOBW: sessionproto.OOBWReply,
	} {
		var e sessionproto.Encoder
		e.Add("REQUEST_METHOD", control)
		e.Add("PASSENGER_CONNECT_PASSWORD", info.ConnectPassword)
		b, err := e.Bytes()
		require.NoError(t, err)
		c := dialPerl(t, p)
		c.send(t, b)
		require.Equal(t, reply, c.readAll(t))
	}

	for _, refused := range [][]byte{
		perlRequest(t, "/", ""),
		perlRequest(t, "/", "wrong"),
		perlRequest(t, "/", info.ConnectPassword+"x"),
		{0, 2, 0, 1},
	} {
		c := dialPerl(t, p)
		c.send(t, refused)
		require.Empty(t, c.readAll(t))
	}

	// Too much to drain: the response comes, then the end.
	large := dialPerl(t, p)
	large.send(t, perlRequest(t, "/", info.ConnectPassword, "CONTENT_LENGTH", "1000000"))
	body, keeps := large.read(t)
	require.Contains(t, body, "has served 5 ")
	require.False(t, keeps)
	require.Empty(t, large.readAll(t))
	idle.send(t, request)
	idle.requireServed(t, 6)
	p.Stop(t.Context())
	require.Equal(t, "exit status 0", p.ExitStatus())
	require.Len(t, f.log.lines("wrong connect password"), 3)
	require.Len(t, f.log.lines("a header of 131073 bytes"), 1)
	require.NotContains(t, f.log.String(), info.ConnectPassword)
}

func TestPerlLoaderFinishesRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := perlApp(t, `sub {
		print "waiting\n";
		open my $fifo, "<", "fifo" or die $!;
		my $line = <$fifo>;
		return [200, [], [$line]];
	}`)
	fifo := filepath.Join(a.Root, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	p := f.start(t, a)
	c := dialPerl(t, p)
	c.send(t, perlRequest(t, "/", p.Info().ConnectPassword))
	require.Eventually(t, func() bool { return len(f.log.lines("waiting")) == 1 }, patience, time.Millisecond)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.Stop(context.WithoutCancel(t.Context()))
	}()
	require.NoError(t, os.WriteFile(fifo, []byte("pid "+strconv.Itoa(p.Info().PID)), 0o600))
	body, _ := c.read(t)
	require.Equal(t, "pid "+strconv.Itoa(p.Info().PID), body)
	<-stopped

	require.Equal(t, "exit status 0", p.ExitStatus())
}
