package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// pair is a certificate of our own in files.
type pair struct {
	cert, key string
	parsed    *x509.Certificate
}

func (p *pair) args() []string {
	return []string{"--ssl", "--ssl-certificate", p.cert, "--ssl-certificate-key", p.key}
}

// make writes a new certificate into the files.
func (p *pair) make(t *testing.T, name string) {
	t.Helper()
	p.parsed = boxed.Certificate(t, p.cert, p.key, name)
}

func newPair(t *testing.T) *pair {
	t.Helper()
	dir := t.TempDir()
	p := &pair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	p.make(t, "first")

	return p
}

// trusting lets a client trust a certificate, and speak HTTP/2 or not.
func trusting(p *pair, http2 bool) func(*http.Transport) {
	return func(tr *http.Transport) {
		pool := x509.NewCertPool()
		pool.AddCert(p.parsed)
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
		tr.ForceAttemptHTTP2 = http2
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetHTTP2(http2)
	}
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	s := start(t, &launch{dir: newPublic(t), args: append(testApp(t), p.args()...)})
	require.True(t, strings.HasPrefix(s.url, "https://"), s.url)

	for _, http2 := range []bool{false, true} {
		c := s.client(t, trusting(p, http2))
		for path, want := range map[string]string{"/a?b": "app: GET /a?b", "/page": "<p>page"} {
			a := c.get(t, path)
			require.Equal(t, want, a.body)
			require.Equal(t, map[bool]int{false: 1, true: 2}[http2], a.ProtoMajor)
		}
	}

	// A client that speaks HTTP to it gets 400.
	resp, err := http.Get("http://" + strings.TrimPrefix(s.url, "https://"))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
}

func TestHTTPAndHTTPS(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	port := freePort(t)
	s := start(t, &launch{dir: t.TempDir(), args: append(append(testApp(t), p.args()...), "--ssl-port", port)})
	plain, secure, both := strings.Cut(s.url, "/, ")
	require.True(t, both, s.url)
	require.Equal(t, "https://127.0.0.1:"+port, secure)
	s.url = plain
	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
	s.url = secure
	require.Equal(t, "app: GET /", s.client(t, trusting(p, true)).get(t, "/").body)

	// A core that was killed has both sockets again.
	require.NoError(t, syscall.Kill(s.core(t), syscall.SIGKILL))
	require.Equal(t, "app: GET /", s.client(t, trusting(p, false)).get(t, "/").body)
}

// A certificate that was replaced is used as soon as the operator says so, and by
// itself soon after; one that is no good is not.
func TestNewCertificate(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), p.args()...)})
	s.client(t, trusting(p, false)).get(t, "/")

	require.NoError(t, os.WriteFile(p.cert, []byte("no certificate"), 0o600))
	s.signal(t, syscall.SIGUSR1)
	s.Stderr.Await(t, "cannot use the new TLS certificate", 1, s.Ended)
	s.client(t, trusting(p, false)).get(t, "/")

	p.make(t, "second")
	s.signal(t, syscall.SIGUSR1)
	eventually(t, func() error {
		c, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		defer c.Close()
		if name := c.ConnectionState().PeerCertificates[0].Subject.CommonName; name != "second" {
			return errors.New("the certificate is " + name)
		}

		return nil
	})
	s.client(t, trusting(p, true)).get(t, "/")
}

func TestHTTPSRefusals(t *testing.T) {
	t.Parallel()
	p := newPair(t)

	other := newPair(t)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no certificate": {[]string{"--ssl"}, "needs both --ssl-certificate and --ssl-certificate-key"},
		"missing file": {[]string{
			"--ssl", "--ssl-certificate", "/nonexistent", "--ssl-certificate-key",
			p.key,
		}, "/nonexistent"},
		"the key of another one": {
			[]string{"--ssl", "--ssl-certificate", p.cert, "--ssl-certificate-key", other.key},
			"does not match",
		},
		"a port without HTTPS": {[]string{"--ssl-port", "443"}, "ssl is off"},
		"a port that is none":  {append(p.args(), "--ssl-port", "70000"), "from 0 (HTTPS only) to 65535"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			args := append(testApp(t), "--address", "127.0.0.1", "--port", "0")
			out, err := box.command(t.Context(), &launch{
				dir:  t.TempDir(),
				args: append(args, test.args...),
			}).CombinedOutput()
			require.Error(t, err, string(out))
			require.Contains(t, string(out), test.want)
			box.RequireClean(t)
		})
	}
}
