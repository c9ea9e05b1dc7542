package e2e_test

import (
	"bufio"
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
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const upAndListening = "Flying Passenger up and listening on "

// flying is a server for many applications.
type flying struct {
	*server
	socket, passwordFile string
}

// newFlyingSandbox is one that other users can pass.
func newFlyingSandbox(t testing.TB) *sandbox {
	t.Helper()

	box := newSandbox(t)
	for _, dir := range []string{box.Dir, box.Tmp, filepath.Join(box.Dir, "run")} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.Chmod(dir, 0o755))
	}

	return box
}

// flyingCommand returns passenger flying.
func (s *sandbox) flyingCommand(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := s.command(context.WithoutCancel(t.Context()), &launch{})
	cmd.Args = append([]string{cmd.Args[0], "flying", "--socket-file", filepath.Join(s.Dir, "run", "s")}, args...)

	return cmd
}

func startFlying(t testing.TB, box *sandbox, args ...string) *flying {
	t.Helper()
	return startFlyingWith(t, box, func(*exec.Cmd) {}, args...)
}

// startFlyingWith does change to the command that starts the server.
func startFlyingWith(t testing.TB, box *sandbox, change func(cmd *exec.Cmd), args ...string) *flying {
	t.Helper()
	f := &flying{
		server: &server{sandbox: box},
		socket: filepath.Join(box.Dir, "run", "s"), passwordFile: filepath.Join(box.Dir, "run", "s.password"),
	}
	f.Cmd = box.flyingCommand(t, args...)
	change(f.Cmd)
	f.url = "unix:" + f.socket
	f.run(t)
	f.Stderr.Await(t, upAndListening+f.socket, 1, f.Ended)

	return f
}

func (f *flying) password(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(f.passwordFile)
	require.NoError(t, err)

	return strings.TrimSpace(string(b))
}

// all are the options of an application, with those that every one has.
func (a *tenant) all() map[string]string {
	options := map[string]string{"app_root": a.root, "load_shell_envvars": "off"}
	maps.Copy(options, a.options)
	return options
}

// header has an application's options for HTTP.
func (f *flying) header(t testing.TB, a *tenant) []string {
	t.Helper()
	header := []string{"X-Passenger-Password", f.password(t)}
	options := a.all()

	listed := make([]string, 0, len(options))
	for name, value := range options {
		listed = append(listed, name)
		header = append(header, "X-Passenger-"+strings.ReplaceAll(name, "_", "-"), value)
	}

	return append(header, "X-Passenger-Options", strings.ReplaceAll(strings.Join(listed, ", "), "_", "-"))
}

// byHTTP asks an application and returns what it has seen.
func (f *flying) byHTTP(t testing.TB, a *tenant, target string, header ...string) *tenantEcho {
	t.Helper()
	return readTenant(t, f.client(t).get(t, target, append(f.header(t, a), header...)...))
}

func readTenant(t testing.TB, a *reply) *tenantEcho {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	e := &tenantEcho{}
	require.NoError(t, json.Unmarshal([]byte(a.body), e), a.body)

	return e
}

// scgiRequest is one as a web server sends it.
func scgiRequest(method, target, body string, params map[string]string) string {
	head := "CONTENT_LENGTH\x00" + strconv.Itoa(len(body)) + "\x00SCGI\x001\x00REQUEST_METHOD\x00" + method +
		"\x00REQUEST_URI\x00" + target +
		"\x00SERVER_PROTOCOL\x00HTTP/1.1\x00REMOTE_ADDR\x00192.0.2.7\x00REMOTE_PORT\x004711\x00HTTP_HOST\x00a.test\x00"
	for name, value := range params {
		head += name + "\x00" + value + "\x00"
	}

	return fmt.Sprintf("%d:%s,%s", len(head), head, body)
}

// bySCGI sends a request and reads the response.
func (f *flying) bySCGI(t testing.TB, method, target, body string, params map[string]string) (*reply, error) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", f.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, scgiRequest(method, target, body, params)); err != nil {
		return nil, err
	}

	raw, err := io.ReadAll(c)
	if err != nil {
		return nil, err
	}

	status, ok := strings.CutPrefix(string(raw), "Status: ")
	if !ok {
		return nil, errors.New("no status in " + string(raw))
	}

	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader("HTTP/1.1 "+status)), nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)

	return &reply{Response: resp, body: string(content)}, err
}

// params are an application's options for SCGI.
func (f *flying) params(t testing.TB, a *tenant) map[string]string {
	t.Helper()

	params := map[string]string{"PASSENGER_PASSWORD": f.password(t)}
	for name, value := range a.all() {
		params["PASSENGER_"+strings.ToUpper(name)] = value
	}

	return params
}

// groups are the names of the applications in the pool, with their roots.
func (f *flying) groups(t testing.TB) map[string]string {
	t.Helper()
	var pool struct {
		Groups []struct{ Name, AppRoot string }
	}
	f.state(t, &pool)

	groups := map[string]string{}
	for _, g := range pool.Groups {
		groups[g.AppRoot] = g.Name
	}

	return groups
}

func (f *flying) state(t testing.TB, into any) {
	t.Helper()
	text, err := f.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/pool.json?form=snapshot", nil)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}
