package instancedir_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// original runs one of Passenger's own tools.
func original(t *testing.T, registry, tool string, args ...string) string {
	t.Helper()
	path := interpreters.Find(t, "passenger", tool, "/usr/sbin/"+tool)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), instancedir.RegistryVariable+"="+registry)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err, string(out))

	return string(out)
}

// TestOriginalLists: Passenger's own tool sees what we see, field by field, and
// takes a living instance for living and a killed one for killed.
func TestOriginalLists(t *testing.T) {
	registry := newRegistry(t)
	d := run(t, registry)
	require.NoError(t, d.WritePID(instancedir.Core, os.Getpid()))
	list := func() string { return original(t, registry, "passenger-config", "list-instances", "--json") }
	var instances []map[string]any
	require.NoError(t, json.Unmarshal([]byte(list()), &instances))
	require.Len(t, instances, 1)
	require.Equal(t, d.Name(), instances[0]["name"])
	require.InDelta(t, os.Getpid(), instances[0]["watchdog_pid"], 0)
	require.Equal(t, "nginx/1.0", instances[0]["server_software"])

	text, err := json.Marshal(only(t, registry).Properties)
	require.NoError(t, err)
	var ours map[string]any
	require.NoError(t, json.Unmarshal(text, &ours))
	require.Equal(t, instances[0], ours)

	require.NoError(t, d.Close())
	require.Contains(t, list(), "*** Cleaning stale instance directory "+d.Path())
	require.Empty(t, entries(t, registry))
}

// TestOriginalAsks: Passenger's own tool finds the socket and the password.
func TestOriginalAsks(t *testing.T) {
	registry := newRegistry(t)
	d := run(t, registry)
	l, err := net.Listen("unix", d.Socket(instancedir.CoreAPI))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	served := make(chan error, 1)
	go func() { served <- respondOnce(l, d.ReadOnlyPassword()) }()
	out := original(t, registry, "passenger-status", d.Name()[:4])
	require.Contains(t, out, d.Name())
	require.Contains(t, out, "this is the pool")
	require.NoError(t, <-served)
}

// respondOnce serves one request. A Server of net/http would refuse it, since the
// tool sends no header Host.
func respondOnce(l net.Listener, password string) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return err
	}

	response := "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	if account, given, _ := r.BasicAuth(); account == instancedir.ReadOnlyAccount && given == password {
		response = "HTTP/1.1 200 OK\r\nContent-Length: 17\r\nConnection: close\r\n\r\nthis is the pool\n"
	}

	_, err = conn.Write([]byte(response))

	return err
}

// TestReadsTheOriginal: a directory as that of version 6 is ours as well.
func TestReadsTheOriginal(t *testing.T) {
	registry := newRegistry(t)
	d := run(t, registry)
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(d.Path()+"/"+name, []byte(content), 0o644))
	}
	write("properties.json", `{
   "instance_dir" : { "created_at" : 1700000000, "created_at_monotonic_usec" : 13635368734, "major_version" : 4, "minor_version" : 0 },
   "instance_id" : "aaaaaa-bbbbbb-cccccc", "integration_mode" : "apache", "name" : "QwErTy12", "passenger_version" : "6.0.17",
   "server_software" : "Apache/2.4.57 (Debian) Phusion_Passenger/6.0.17", "watchdog_pid" : 456
}`)
	require.NoError(t, os.Mkdir(d.Path()+"/web_server_info", 0o755))
	write("web_server_info/control_process.pid", "123\n")
	write("core.pid", "458")

	l := instancedir.List([]string{registry})
	for _, pid := range []int{123, 456, 458} {
		i, err := l.SelectPID(pid)
		require.NoError(t, err)
		require.Equal(t, "QwErTy12", i.Name)
		require.Equal(t, time.Unix(1700000000, 0), i.Properties.InstanceDir.Created())
		require.Equal(t, 458, i.Properties.CorePID)
	}

	_, err := l.SelectPID(457)
	require.Error(t, err)
}
