package e2e_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/proxyheader"
	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/internal/test/webservers"
)

// behind is Flying with a web server in front, which has two applications, by HTTP and
// by TLS at an address of its own.
type behind struct {
	*flying

	w         *webServer
	secure    string
	authority *pair
	shop, sub *tenant
	// pids are those of the applications' processes.
	pids []int
	// down means that the web server is being restarted, so that its clients are refused.
	down atomic.Bool
}

// Journey 7, behind a web server: by each of the documented configurations, all that
// goes through a web server arrives whole, clients set nothing that is a proxy's to say,
// and while the web server is reloaded and restarted the applications stay as they are.
func TestJourneyBehindWebServer(t *testing.T) {
	t.Parallel()

	for _, kind := range webservers.Kinds() {
		t.Run(kind.File, func(t *testing.T) {
			t.Parallel()
			b := startBehind(t, kind)
			core, fds := b.core(t), b.fds(t)
			load := b.load(t, 2, b.askShop)

			b.requirePages(t)
			b.requireUpload(t)
			b.requireAccelRedirect(t)
			b.requireNothingBelieved(t)

			// Streams outlive a reload.
			events, cable := b.openEvents(t), b.openCable(t)
			cable.requireEcho(t, "before")

			for range 2 {
				b.w.Reload()
				load.Progress(t, 30)
				cable.requireEcho(t, "after a reload")
			}

			require.NoError(t, cable.Close(websocket.StatusNormalClosure, ""))
			require.NoError(t, events.Close())

			b.down.Store(true)
			b.w.Stop()
			require.ElementsMatch(t, b.pids, b.apps(t))
			require.True(t, b.w.Run())
			load.Progress(t, 1)
			b.down.Store(false)
			load.Progress(t, 30)

			b.requirePages(t)
			b.requireNothingBelieved(t)
			cable = b.openCable(t)
			cable.requireEcho(t, "after a restart")
			require.NoError(t, cable.Close(websocket.StatusNormalClosure, ""))
			load.RequireNoneLost(t)
			b.w.Stop()

			require.ElementsMatch(t, b.pids, b.apps(t))
			require.Equal(t, core, b.core(t))
			require.Len(t, b.groups(t), 2, "by SCGI, by HTTP and by TLS it is the same application")
			const kept = 5 // connections to a process, as many as it served at a time
			b.requireNoMoreFDs(t, fds+kept)
			require.NotContains(t, b.Stderr.String(), "level=error")
			require.NotContains(t, b.Stderr.String()+b.w.Output.String(), b.password(t))
		})
	}
}

func startBehind(t *testing.T, kind webservers.Kind) *behind {
	t.Helper()
	box := newFlyingSandbox(t)
	b := &behind{
		flying:    startFlying(t, box),
		authority: newPair(t),
		shop:      box.goTenant(t, "shop", daemonUID),
		sub:       box.pythonTenant(t, "sub", binUID),
	}
	private := filepath.Join(b.shop.root, "private")
	require.NoError(t, os.Mkdir(private, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(private, "file.txt"), []byte("a private file"), 0o644))
	b.sub.options["base_uri"] = "/sub"
	if kind.Apache { // which sends no such files by itself
		b.shop.options["accel_redirect"] = fmt.Sprintf("{%q: %q}", "/private/", private+"/")
	}

	dir := filepath.Join(b.Dir, "web")
	require.NoError(t, os.Mkdir(dir, 0o755))
	b.w = &webServer{t: t, Server: webservers.Start(t, kind, dir, func(addr string) string {
		b.secure = "127.0.0.1:" + freePort(t)
		return b.sites(t, kind, addr)
	})}
	b.pids = []int{b.page(t, b.w.client(b.shop), "/").PID, b.page(t, b.w.client(b.sub), "/sub/").PID}

	return b
}

// sites are both applications at both addresses.
func (b *behind) sites(t *testing.T, kind webservers.Kind, addr string) string {
	t.Helper()
	var sites strings.Builder

	const once = "map $http_upgrade" // what is there once for all sites
	for _, at := range []string{addr, b.secure} {
		for _, a := range []*tenant{b.shop, b.sub} {
			site := b.site(t, kind, at, a)
			if _, rest, ok := strings.Cut(site, once); ok && sites.Len() > 0 {
				_, site, _ = strings.Cut(rest, "}\n")
			}

			internal := fmt.Sprintf("location /private/ { internal; alias %s/private/; }\n    location @shop {", a.root)
			sites.WriteString(strings.Replace(site, "location @shop {", internal, 1))
		}
	}

	cert, key := b.authority.cert, b.authority.key
	secured := strings.NewReplacer(
		"listen "+b.secure+";", fmt.Sprintf("listen %s ssl; ssl_certificate %s; ssl_certificate_key %s;", b.secure,
			cert, key),
		"<VirtualHost "+b.secure+">", fmt.Sprintf("<VirtualHost %s>\nSSLEngine on\nSSLCertificateFile "+
			"%s\nSSLCertificateKeyFile %s\n", b.secure, cert, key),
	).Replace(sites.String())
	if kind.Apache {
		secured = fmt.Sprintf("LoadModule ssl_module %s/mod_ssl.so\nListen %s\n%s", webservers.ApacheModules(t),
			b.secure, secured)
	}

	return secured
}

// tls asks an application by TLS.
func (b *behind) tls(t *testing.T, a *tenant) *client {
	t.Helper()
	authorities := x509.NewCertPool()
	authorities.AddCert(b.authority.parsed)
	c := b.w.client(a)
	c.base = strings.Replace(c.base, "http:", "https:", 1)
	c.Transport = &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: authorities, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", b.secure)
		},
	}

	return c
}

func (*behind) page(t *testing.T, c *client, target string, header ...string) *tenantEcho {
	t.Helper()
	e := readTenant(t, c.get(t, target, header...))
	require.Equal(t, target, e.Target)

	return e
}

// errWrong is a response that is not what was asked for.
var errWrong = errors.New("a wrong response")

// askShop is one request, to which only the response of the one process is right.
func (b *behind) askShop(ctx context.Context, _ *client) error {
	target := "/" + strconv.FormatUint(rand.Uint64(), 10)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop.test"+target, nil)
	if err != nil {
		return err
	}

	down := b.down.Load()

	a, err := b.w.client(b.shop).do(r)
	for err != nil && ctx.Err() == nil && (down || b.down.Load()) { // there is no web server for the moment
		think(ctx)
		down = b.down.Load()
		a, err = b.w.client(b.shop).do(r)
	}

	if err != nil {
		return err
	}

	var e tenantEcho
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Target != target || e.PID != b.pids[0] {
		return fmt.Errorf("%w to %s: %s: %s", errWrong, target, a.Status, a.body)
	}

	return nil
}

// requirePages asks for pages and files, below a path too, and by both schemes.
func (b *behind) requirePages(t *testing.T) {
	t.Helper()

	for _, by := range []struct {
		scheme string
		client func(a *tenant) *client
	}{
		{"http", b.w.client},
		{"https", func(a *tenant) *client { return b.tls(t, a) }},
	} {
		shop := b.page(t, by.client(b.shop), "/a%2Fb?c=d%20e")
		require.Equal(t, b.pids[0], shop.PID)
		requireLocalClient(t, shop)
		require.Equal(t, by.scheme, shop.Header.Get("X-Forwarded-Proto"))

		sub := b.page(t, by.client(b.sub), "/sub/page?x")
		require.Equal(t, b.pids[1], sub.PID)
		require.Equal(t, map[string]string{"http": "", "https": "on"}[by.scheme], sub.HTTPS)
		require.Equal(t, http.StatusNotFound, by.client(b.sub).get(t, "/elsewhere").StatusCode)

		require.Equal(t, "an asset of shop", by.client(b.shop).get(t, "/assets/a.txt").body)
	}
}

// requireLocalClient checks that the client is the one that the web server has seen. By
// HTTP, that is one hop more.
func requireLocalClient(t *testing.T, e *tenantEcho) {
	t.Helper()

	for hop := range strings.SplitSeq(e.Header.Get("X-Forwarded-For"), ", ") {
		require.Equal(t, "127.0.0.1", hop)
	}
}

// requireUpload sends 20 MB, and 1 GB in a long run.
func (b *behind) requireUpload(t *testing.T) {
	t.Helper()
	size := int64(longtests.Rounds(t, 20*megabyte, 1<<30))

	sum := sha256.New()
	body := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), size), sum)
	c := b.w.client(b.shop)
	c.Timeout = 0 // the test's own
	r := c.request(t, http.MethodPost, "/upload", body)
	r.ContentLength = size

	a, err := c.do(r)
	require.NoError(t, err)
	e := readTenant(t, a)
	require.Equal(t, size, e.Length)
	require.Equal(t, fmt.Sprintf("%x", sum.Sum(nil)), e.Sum)
}

func (b *behind) requireAccelRedirect(t *testing.T) {
	t.Helper()
	sent := b.w.client(b.shop).get(t, "/accel?/private/file.txt")
	require.Equal(t, http.StatusOK, sent.StatusCode)
	require.Equal(t, "a private file", sent.body)
	require.NotContains(t, sent.Header, "X-Accel-Redirect")
	require.NotEqual(t, "a private file", b.w.client(b.shop).get(t, "/private/file.txt").body)
}

// requireNothingBelieved sends all that proxies say, and our own options, as a client.
func (b *behind) requireNothingBelieved(t *testing.T) {
	t.Helper()
	names := append(proxyheader.Names(), proxyheader.Always()...)

	names = append(names, "Proxy", "X-Passenger-User", "X-Passenger-App-Root", "X-Passenger-Options",
		"X-Passenger-Password", "X-Passenger-Env-Vars")
	for some := range slices.Chunk(names, 50) { // of which each has its limit
		var sent []string
		for _, name := range some {
			sent = append(sent, name, "evil")
		}

		sent = append(sent, "X-Forwarded-For", "192.0.2.66", "X-Forwarded-Proto", "https")
		e := b.page(t, b.w.client(b.shop), "/evil", sent...)
		require.Equal(t, b.pids[0], e.PID)
		requireLocalClient(t, e)
		require.Equal(t, "http", e.Header.Get("X-Forwarded-Proto"))

		for name, values := range e.Header {
			require.NotContains(t, strings.Join(values, " "), "evil", name)
		}

		require.NotContains(t, fmt.Sprint(e.Env), "evil")
	}
}

// openEvents has read the first of a stream of events.
func (b *behind) openEvents(t *testing.T) io.Closer {
	t.Helper()
	c := b.w.client(b.shop)
	c.Timeout = 0
	resp, err := c.Do(c.request(t, http.MethodGet, "/events", nil))
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "data: first\n", line)

	return resp.Body
}

type cable struct{ *websocket.Conn }

func (b *behind) openCable(t *testing.T) cable {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c := b.w.client(b.shop)
	c.Timeout = 0
	conn, _, err := websocket.Dial(ctx, "ws://shop.test/cable", &websocket.DialOptions{HTTPClient: c.Client})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })

	return cable{conn}
}

func (c cable) requireEcho(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	require.NoError(t, c.Write(ctx, websocket.MessageText, []byte(text)))
	_, data, err := c.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, text, string(data))
}
