//go:build linux

package faults_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const canary = "CANARY"

// nobodyUID is the ID of the user nobody, who owns nothing that is linked to.
const nobodyUID = 65534

// site is an application with files: those that are public are "public NAME",
// and all others have the canary.
func site(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()

	public := filepath.Join(dir, "public")
	for _, d := range []string{"dir", ".hidden", ".well-known", "public", "dir/.git"} {
		require.NoError(t, os.MkdirAll(filepath.Join(public, d), 0o700))
	}

	for name, text := range map[string]string{
		"hello.txt": "public hello", "dir/index.html": "public index", "page.html": "public page",
		".well-known/acme": "public acme", "100%.txt": "public percent",
		".env": canary, ".hidden/file": canary, "dir/.git/config": canary, "../secret.txt": canary,
		"../public.txt": canary, `dir\file`: canary, "public/..file": canary,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(public, name), []byte(text), 0o600))
	}

	for name, target := range map[string]string{
		"in": "hello.txt", "out": "../secret.txt", "absolute": filepath.Join(dir, "secret.txt"), "above": "..",
		"chain": "out", "passwd": "/etc/passwd", "loop": "loop",
	} {
		link := filepath.Join(public, name)
		require.NoError(t, os.Symlink(target, link))
		if os.Geteuid() == 0 {
			require.NoError(t, os.Lchown(link, nobodyUID, nobodyUID))
		}
	}

	require.NoError(t, syscall.Mkfifo(filepath.Join(public, "fifo"), 0o600))

	return dir
}

// Faults.
func TestStaticFilesStayInTheirDirectory(t *testing.T) {
	t.Parallel()

	s := (&launch{app: site(t), args: append(testApp(t), unlimited...)}).start(t)
	for target, want := range map[string]string{
		"/hello.txt": "hello", "/dir/": "index", "/page": "page", "/.well-known/acme": "acme", "/in": "hello",
		"//hello.txt":  "hello",
		"/%68ello.txt": "hello", "/hello.txt?../../secret.txt": "hello", "/100%25.txt": "percent",
	} {
		a := s.dial(t, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").reply()
		require.Equal(t, http.StatusOK, a.StatusCode, "%s", target)
		require.Equal(t, "public "+want, a.body, "%s", target)
	}

	targets := []string{
		"/passwd", "/loop", "/fifo", "/public", "/dir",
		"/.env", "/.hidden/file", "/dir/.git/config", "/.well-known/../.env", "/.well-known/%2e%2e/.env",
		"/.well-known/.env", "/%2eenv", "/dir/%2egit/config", "//.env",
		"/hello.txt/", "/hello.txt/../../secret.txt", "/..file", "/public/..file", "/100%2525.txt",
		"http://x/../secret.txt", "http://x/%2e%2e/secret.txt", "*", "/proc/self/environ", "/etc/passwd",
	}
	for _, up := range []string{
		"..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "%00..", "..;", "...",
		"%c0%ae%c0%ae", "\u2025",
	} {
		for _, slash := range []string{"/", "%2f", `\`, "%5c", "%5C", "//", "/./", "%252f", "%c0%af", "\u2215"} {
			for _, prefix := range []string{"/", "//", "/dir/", "/dir" + slash + up + slash} {
				targets = append(targets, prefix+up+slash+"secret.txt", prefix+up+slash+up+slash+up+slash+"etc/passwd")
			}
		}
	}

	for _, suffix := range []string{"%00", "%00.txt", "%0a", "%20", ".", "%2e", "::$DATA", "%ff"} {
		targets = append(targets, "/.env"+suffix, "/../secret.txt"+suffix)
	}

	if os.Geteuid() == 0 { // else link and target belong to one user, and the link is followed
		targets = append(targets, "/out", "/absolute", "/above/secret.txt", "/chain")
	}

	for _, target := range targets {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			c := s.dial(t, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, target))
			got := c.rest()
			require.NotContains(t, got, canary, "%s", target)
			require.NotContains(t, got, "root:", "%s", target)
			require.NotContains(t, got, " 200 OK", "%s", target)
			require.True(t, strings.HasPrefix(got, "HTTP/1.1 "), "%s: %q", target, got)
			require.NotContains(t, got, "HTTP/1.1 5", "%s", target)
			require.NoError(t, c.Close())
		}
	}

	t.Logf("%d targets", len(targets))
}
