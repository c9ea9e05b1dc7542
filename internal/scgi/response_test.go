package scgi_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestResponses(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 2048)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("<html>"+big), 0o600))

	copyFile := func(w http.ResponseWriter, wrap func(*os.File) io.Reader) (int64, error) {
		f, err := os.Open(file)
		if err != nil {
			return 0, err
		}
		defer f.Close()

		return io.Copy(w, wrap(f))
	}
	for name, c := range map[string]struct {
		method  string
		handler func(v *verdict, w http.ResponseWriter)
		want    string
	}{
		"nothing": {"GET", func(v *verdict, w http.ResponseWriter) {}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		"a small body gets a length and a type": {"GET", func(v *verdict, w http.ResponseWriter) {
			fmt.Fprint(w, "<html>")
			fmt.Fprint(w, "x")
		}, "Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 7\r\n\r\n<html>x"},
		"a type that is not wanted": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, "x")
		}, "Status: 200 OK\r\nContent-Length: 1\r\n\r\nx"},
		"no type of what is encoded": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "br")
			fmt.Fprint(w, "x")
		}, "Status: 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx"},
		"no length if it is not known": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Type", "x/y")
			fmt.Fprint(w, "a")
			flush(w)
			fmt.Fprint(w, "b")
		}, "Status: 200 OK\r\nContent-Type: x/y\r\n\r\nab"},
		"a large body": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Type", "x/y")
			fmt.Fprint(w, "a")
			fmt.Fprint(w, big)
			fmt.Fprint(w, "b")
		}, "Status: 200 OK\r\nContent-Type: x/y\r\n\r\na" + big + "b"},
		"headers": {"GET", func(v *verdict, w http.ResponseWriter) {
			h := w.Header()
			h.Add("Set-Cookie", "a=1")
			h.Add("Set-Cookie", "b=2")
			h.Set("Location", "/x")
			w.WriteHeader(302)
			h.Set("Late", "x")
		}, "Status: 302 Found\r\nLocation: /x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"},
		"headers that must not be sent": {"GET", func(v *verdict, w http.ResponseWriter) {
			for _, name := range []string{
				"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
				"Status", "status",
				"transfer-encoding", "a b", "a:b", "a\nb", "", http.TrailerPrefix + "X", "ü",
			} {
				w.Header()[name] = []string{"x"}
			}
		}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		"headers that would end a line": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("A", "b\r\nSet-Cookie: c\x00d\n\ne\r\n")
		}, "Status: 200 OK\r\nA: b  Set-Cookie: c d  e\r\nContent-Length: 0\r\n\r\n"},
		"a status without a name": {
			"GET", func(v *verdict, w http.ResponseWriter) { w.WriteHeader(604) },
			"Status: 604 status code 604\r\nContent-Length: 0\r\n\r\n",
		},
		"informational ones": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Link", "</x>")
			w.WriteHeader(103)
			w.WriteHeader(100)
			w.Header().Del("Link")
			w.WriteHeader(404)
		}, "Status: 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		"switching protocols": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(101)
		}, "Status: 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"},
		"a status that is set again": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.WriteHeader(404)
			w.WriteHeader(500)
		}, "Status: 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		"HEAD": {"HEAD", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Length", "40000")
			n, err := fmt.Fprint(w, "<html>"+strings.Repeat("x", 30000))
			v.is(nil, err)
			v.is(30006, n)
		}, "Status: 200 OK\r\nContent-Length: 40000\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"},
		"HEAD without a length": {"HEAD", func(v *verdict, w http.ResponseWriter) {
			fmt.Fprint(w, "x")
			flush(w)
			_, err := copyFile(w, func(f *os.File) io.Reader { return f })
			v.is(nil, err)
		}, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"},
		"204": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(204)
			_, err := fmt.Fprint(w, "x")
			v.is(http.ErrBodyNotAllowed, err)
		}, "Status: 204 No Content\r\n\r\n"},
		"304": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(304)
			_, err := copyFile(w, func(f *os.File) io.Reader { return f })
			v.is(http.ErrBodyNotAllowed, err)
		}, "Status: 304 Not Modified\r\n\r\n"},
		"too much": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Length", "2")
			_, err := fmt.Fprint(w, "<p")
			v.is(nil, err)
			_, err = fmt.Fprint(w, "x")
			v.is(http.ErrContentLength, err)
		}, "Status: 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n<p"},
		"a length that is none": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Length", "+2")
			fmt.Fprint(w, "x")
		}, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\nx"},
		"a file": {"GET", func(v *verdict, w http.ResponseWriter) {
			n, err := copyFile(w, func(f *os.File) io.Reader { return f })
			v.is(nil, err)
			v.is(6+len(big), n)
			fmt.Fprint(w, "end")
		}, "Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html>" + big + "end"},
		"a part of a file": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Length", "5002")
			fmt.Fprint(w, "<p")
			var rest *io.LimitedReader
			n, err := copyFile(w, func(f *os.File) io.Reader { rest = &io.LimitedReader{R: f, N: 5000}; return rest })
			v.is(nil, err)
			v.is(5000, n)
			v.is(0, rest.N)
		}, "Status: 200 OK\r\nContent-Length: 5002\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n<p" +
			("<html>" + big)[:5000]},
		"a small part of a file": {"GET", func(v *verdict, w http.ResponseWriter) {
			n, err := copyFile(w, func(f *os.File) io.Reader { return io.LimitReader(f, 6) })
			v.is(nil, err)
			v.is(6, n)
		}, "Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>"},
		"a file that is larger than was said": {"GET", func(v *verdict, w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			n, err := copyFile(w, func(f *os.File) io.Reader { return f })
			v.is(http.ErrContentLength, err)
			v.is(1000, n)
		}, "Status: 200 OK\r\nContent-Length: 1000\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html>" +
			big[:994]},
		"what is no file": {"GET", func(v *verdict, w http.ResponseWriter) {
			n, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("hello")})
			v.is(nil, err)
			v.is(5, n)
		}, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello"},
		"controls": {"GET", func(v *verdict, w http.ResponseWriter) {
			rc := http.NewResponseController(w)
			v.is(nil, rc.EnableFullDuplex())
			v.is(nil, rc.SetReadDeadline(time.Now()))
			v.is(nil, rc.SetWriteDeadline(time.Now().Add(patience)))
			_, _, err := rc.Hijack()
			v.is(http.ErrNotSupported, err)
			n, err := io.WriteString(w, "x")
			v.is(nil, err)
			v.is(1, n)
			v.is(nil, rc.Flush())
			v.is(nil, rc.Flush())
		}, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx"},
	} {
		t.Run(name, func(t *testing.T) {
			v := &verdict{}
			s := start(t, func(w http.ResponseWriter, _ *http.Request) { c.handler(v, w) })
			got, err := s.say(request(c.method, "/", ""))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			require.Empty(t, v.all())
		})
	}
}

// verdict is what a handler finds wrong.
type verdict struct {
	mu     sync.Mutex
	faults []string
}

// is compares values as they are printed, and errors by what they are.
func (v *verdict) is(want, got any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	wantErr, _ := want.(error)
	gotErr, _ := got.(error)
	if fmt.Sprint(want) != fmt.Sprint(got) && (wantErr == nil || !errors.Is(gotErr, wantErr)) {
		v.faults = append(v.faults, fmt.Sprintf("want %v, got %v", want, got))
	}
}

func (v *verdict) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.faults
}

// Whoever reads a response that was broken off learns of it, over TCP and, where that
// can be, over Unix sockets.
func TestBrokenResponses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Unix sockets of this system have no resets")
	}

	for name, handler := range map[string]http.HandlerFunc{
		"aborted": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half")
			flush(w)
			panic(http.ErrAbortHandler)
		},
		"panicked": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half")
			flush(w)
			panic("canary")
		},
		"ended": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half")
			flush(w)
			runtime.Goexit()
		},
		"too short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "half")
			flush(w)
		},
	} {
		for _, network := range []string{"unix", "tcp"} {
			for _, body := range []string{"", "x", strings.Repeat("x", 100_000)} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, network, len(body)), func(t *testing.T) {
					s := newStand(t, func(w http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body)
						handler(w, r)
					})
					addr := s.path
					if network == "tcp" {
						addr = "127.0.0.1:0"
					}

					l, err := net.Listen(network, addr)
					require.NoError(t, err)
					s.serve(l)
					c, err := net.Dial(network, l.Addr().String())
					require.NoError(t, err)
					defer c.Close()
					_, err = io.WriteString(c, request("POST", "/", body))
					require.NoError(t, err)
					got, err := io.ReadAll(c)
					require.ErrorIs(t, err, syscall.ECONNRESET)
					if network == "unix" {
						require.True(t, strings.HasSuffix(string(got), "\r\n\r\nhalf"), "%q", got)
					}

					require.Equal(t, name == "panicked", strings.Contains(s.log.String(), "canary"))
				})
			}
		}
	}
}

// What no client has seen of a response that fails is not shown.
func TestBrokenBeforeTheFirstByte(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "half")
		panic(http.ErrAbortHandler)
	})
	got, err := s.say(request("GET", "/", ""))
	require.Empty(t, got)
	if runtime.GOOS == "linux" {
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}

	require.Empty(t, s.log.String())
}

// A response to a body that no handler has read arrives nevertheless.
func TestRespondsToUnreadBody(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	a := s.requireReply(request("POST", "/", strings.Repeat("x", 1<<20)))
	require.Equal(t, "413 Request Entity Too Large", a.status)
}

// Response and body pass each other.
func TestFullDuplex(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")

		b := make([]byte, 1)
		for {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				return
			}

			_, _ = w.Write(b)
			flush(w)
		}
	})
	c := s.dial()
	text := request("POST", "/", "abc")
	_, err := io.WriteString(c, text[:len(text)-3])
	require.NoError(t, err)

	br := bufio.NewReader(c)
	for i, want := range []string{"a", "b", "c"} {
		_, err = io.WriteString(c, want)
		require.NoError(t, err)

		for i == 0 {
			line, err := br.ReadString('\n')
			require.NoError(t, err)
			if line == "\r\n" {
				break
			}
		}

		got, err := br.ReadByte()
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}

	_, err = br.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

// A goroutine of the handler that has outlived it does no harm to others' responses.
func TestLateUse(t *testing.T) {
	type kept struct {
		w http.ResponseWriter
		r *http.Request
	}
	late := make(chan kept, 1)
	s := start(t, func(w http.ResponseWriter, r *http.Request) { late <- kept{w, r} })
	s.requireReply(request("POST", "/", "body"))
	k := receive(t, late)
	<-k.r.Context().Done()
	_, err := k.w.Write([]byte("x"))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = io.Copy(k.w, struct{ io.Reader }{strings.NewReader("x")})
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, http.NewResponseController(k.w).Flush(), net.ErrClosed)
	k.w.WriteHeader(404)
	_, err = k.r.Body.Read(make([]byte, 1))
	require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
}

func TestInvalidStatusPanics(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(99) })
	_, err := s.say(request("GET", "/", ""))
	require.True(t, err == nil || errors.Is(err, syscall.ECONNRESET), "%v", err)
	require.Contains(t, s.log.String(), "99 is not of three digits")
}
