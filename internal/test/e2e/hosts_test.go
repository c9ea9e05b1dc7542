package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Several applications, by host and by path, in one file.
func TestSeveralApplications(t *testing.T) {
	t.Parallel()

	base := t.TempDir()
	for _, name := range []string{"shop", "blog", "wild", "cafe", "rest"} {
		dir := filepath.Join(base, name, "public")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "name.txt"), []byte(name), 0o644))
	}

	// The application's own file counts as well.
	require.NoError(t, os.WriteFile(filepath.Join(base, "blog", "Passengerfile.json"),
		[]byte(`{"environment": "staging"}`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(base, "Passengerfile.json"), []byte(`{
		"min_instances": 0,
		"apps": [
			{"dir": "shop", "hosts": ["shop.example.com", "www.shop.example.com"], "min_instances": 1},
			{"dir": "blog", "hosts": "shop.example.com", "path": "/blog"},
			{"dir": "wild", "hosts": ["*.example.org", "bücher.example"]},
			{"dir": "cafe", "hosts": "*.example.org", "path": "/café shop"},
			{"dir": "rest"}
		]
	}`), 0o600))
	s := start(t, &launch{dir: base, args: testApp(t)})
	require.Contains(t, s.Stdout.String(), filepath.Join(base, "blog")+", for shop.example.com/blog")
	s.requireApps(t, 1) // the shop's

	pids := map[string]string{}
	for _, test := range []struct{ host, path, app string }{
		{"shop.example.com", "/", "shop"},
		{"WWW.Shop.Example.com.:80", "/", "shop"},
		{"shop.example.com", "/blogger", "shop"},
		{"shop.example.com", "/blog", "blog"},
		{"shop.example.com", "/blog/x", "blog"},
		{"www.shop.example.com", "/blog/x", "shop"},
		{"127.0.0.1", "/", "rest"},
		{"other.example.com", "/blog", "rest"},
		{"a.b.example.org", "/", "wild"},
		{"xn--bcher-kva.example", "/", "wild"},
		{"example.org", "/", "rest"},
		{"a.example.org", "/caf%C3%A9%20shop/x", "cafe"},
		{"a.example.org", "/c%61f%c3%a9%20shop", "cafe"},
	} {
		cwd, body := s.askHost(t, test.host, test.path)
		require.Equal(t, filepath.Join(base, test.app), cwd, "%+v", test)
		require.Contains(t, body, test.path)
		pids[cwd] = body
	}

	require.Len(t, pids, 5)
	s.requireApps(t, 5)

	for app, where := range map[string][2]string{
		"shop": {"shop.example.com", ""}, "blog": {"shop.example.com", "/bl%6Fg"}, "rest": {"x", ""},
		"wild": {"x.example.org", ""}, "cafe": {"x.example.org", "/c%61f%C3%A9%20shop"},
	} {
		a := s.client(t).getHost(t, where[0], where[1]+"/name.txt")
		require.Equal(t, app, a.body)
	}

	require.Equal(t, http.StatusOK, s.client(t).getHost(t, "shop.example.com", "/blog/other.txt").StatusCode)
}

// askHost returns the directory of the process that responds, and its response.
func (s *server) askHost(t *testing.T, host, path string) (dir, body string) {
	t.Helper()
	pid, err := strconv.Atoi(s.client(t).getHost(t, host, path+"?pid").Header.Get("X-Pid"))
	require.NoError(t, err)
	dir, err = os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	require.NoError(t, err)

	return dir, s.client(t).getHost(t, host, path).body
}

func (c *client) getHost(t *testing.T, host, path string) *reply {
	t.Helper()
	r := c.request(t, http.MethodGet, path, nil)
	r.Host = host
	a, err := c.do(r)
	require.NoError(t, err)

	return a
}

func TestSeveralApplicationsRefusals(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct{ apps, want string }{
		"none":                {`[]`, "apps is empty"},
		"no list":             {`{}`, "must be a list"},
		"no directory":        {`[{"hosts": ["x"]}]`, "dir is missing"},
		"a missing directory": {`[{"dir": "missing"}]`, "missing does not exist"},
		"a server's option":   {`[{"dir": ".", "port": 80}]`, "port is the server's"},
		"an unknown option":   {`[{"dir": ".", "colour": "blue"}]`, `no option "colour"`},
		"an empty host":       {`[{"dir": ".", "hosts": [""]}]`, "one is empty"},
		"every host": {
			`[{"dir": ".", "hosts": ["*"]}]`,
			"leave hosts out for those that no other application has",
		},
		"an asterisk inside":   {`[{"dir": ".", "hosts": ["www.*"]}]`, "write a wildcard as *.example.com"},
		"a URL as a host":      {`[{"dir": ".", "hosts": ["http://x"]}]`, "write the host alone"},
		"a path in a host":     {`[{"dir": ".", "hosts": ["x/shop"]}]`, "write that as path, beside hosts"},
		"one by two spellings": {`[{"dir": ".", "hosts": ["bücher.example"]}, {"dir": ".", "hosts": ["xn--bcher-kva.example"]}]`, "both serve"},
		"paths that are one": {
			`[{"dir": ".", "path": "/blog"}, {"dir": ".", "path": "/bl%6Fg/"}]`,
			"both serve",
		},
		"a path with dots":     {`[{"dir": ".", "path": "/a/../b"}]`, "which clients remove from URLs"},
		"a path with a query":  {`[{"dir": ".", "path": "/a?b"}]`, "has a query or fragment"},
		"a percent sign":       {`[{"dir": ".", "path": "/100%"}]`, "write it as %25"},
		"the same twice":       {`[{"dir": ".", "hosts": ["x"]}, {"dir": ".", "hosts": ["X."]}]`, "both serve"},
		"a path that is none":  {`[{"dir": ".", "path": "blog"}]`, "does not begin with a slash"},
		"a value that is none": {`[{"dir": ".", "min_instances": "many"}]`, "whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t, passengerfile(`{"apps": `+test.apps+`}`))
			line := refuse(t, &launch{dir: dir, args: testApp(t)})
			require.Contains(t, line, test.want)
		})
	}
}

// An application may take a larger head than the others.
func TestHeadLimitsOfSeveralApplications(t *testing.T) {
	t.Parallel()

	for _, server := range []string{"front", "standard"} {
		base := newDir(t, passengerfile(`{"http_server": "`+server+`", "apps": [
			{"dir": ".", "max_header_size": 400000, "max_header_field_size": 300000},
			{"dir": ".", "hosts": "small.example.com"}
		]}`))
		s := start(t, &launch{dir: base, args: testApp(t)})
		c := s.client(t)

		for host, want := range map[string]int{
			"large.example.com": http.StatusOK, "small.example.com": http.StatusRequestHeaderFieldsTooLarge,
		} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/", nil)
			require.NoError(t, err)
			r.Host = host
			r.Header.Set("X-Large", strings.Repeat("x", 150000))

			resp, err := c.Do(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, want, resp.StatusCode, "%s, by %s", host, server)
		}

		c.CloseIdleConnections()
		s.stop(t)
	}
}
