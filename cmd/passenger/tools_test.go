package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/agent"
)

func TestCommandsAreListedByTheirNames(t *testing.T) {
	for _, c := range (tools{}).all() {
		require.Equal(t, c.name, c.create().Name())
	}
}

func TestOnlyTheNamedCommandIsMade(t *testing.T) {
	names := func(root *cobra.Command) (names []string) {
		for _, c := range root.Commands() {
			names = append(names, c.Name())
		}

		return names
	}
	made := func(args ...string) []string { return names(newProgram("passenger", args, nil)) }
	all := names(newCommand())
	require.Greater(t, len(all), 10)

	require.Equal(t, []string{"core"}, made("core"))
	require.Equal(t, []string{"start"}, made("start", "config"))
	require.Empty(t, made("--version"))

	// Each of these may need any command: to list, to complete or to suggest it.
	for _, args := range [][]string{
		{},
		{""},
		{"help", "start"},
		{"--help"},
		{"-h"},
		{"--version", "start"},
		{"--flag", "start"},
		{"star"},
		{"completion", "bash"},
		{cobra.ShellCompRequestCmd, "start", ""},
	} {
		require.Equal(t, all, made(args...), "%q", args)
	}
}

// A script that keeps what a command prints has to learn that the disk is full, whatever the command is.
func TestOutputThatIsLostIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full: ", err)
	}
	defer full.Close()

	t.Setenv("PASSENGER_INSTANCE_REGISTRY_DIR", t.TempDir())

	for _, args := range [][]string{
		{"--version"},
		{"--help"},
		{},
		{"help", "start"},
		{"start", "--help"},
		{"about"},
		{"about", "--json"},
		{"about", "version"},
		{"about", "compiled"},
		{"config"},
		{"config", "--show", "--start-command", "true"},
		{"config", "--compiled"},
		{"detect", "--start-command", "true"},
		{"list-instances"},
		{"list-instances", "--json"},
		{"completion", "bash"},
	} {
		for _, test := range []struct {
			out  io.Writer
			want error
		}{
			{full, syscall.ENOSPC},
			{io.Discard, nil},
		} {
			program := newProgram("passenger", args, nil)
			program.SetArgs(args)
			program.SetOut(test.out)
			require.ErrorIs(t, execute(t.Context(), program), test.want, "%q", args)
		}
	}
}

// A server serves without a reader of its banner, and its status tells how it ended.
func TestServersBannerMayBeLost(t *testing.T) {
	root := &cobra.Command{RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := io.WriteString(serverOutput(cmd), "Passenger web server started")
		require.ErrorIs(t, err, io.ErrClosedPipe)

		return nil
	}}
	r, w := io.Pipe()
	require.NoError(t, r.Close())
	root.SetArgs([]string{})
	root.SetOut(w)
	require.NoError(t, execute(t.Context(), root))
}

// A directory of another version, as after an upgrade, or one that a full disk has cut, may be that of a server that
// runs.
func TestInstanceThatCannotBeRead(t *testing.T) {
	// Sockets have short paths.
	registry, err := os.MkdirTemp("", "p") //nolint:usetesting // see above
	require.NoError(t, err)

	t.Cleanup(func() { require.NoError(t, os.RemoveAll(registry)) })
	t.Setenv("PASSENGER_INSTANCE_REGISTRY_DIR", registry)
	t.Setenv("TMPDIR", registry)

	dir, err := instancedir.Create(instancedir.Config{
		Registry:        registry,
		Version:         "9.1",
		IntegrationMode: "standalone",
		ServerSoftware:  "test",
	})
	require.NoError(t, err)

	t.Cleanup(func() { require.NoError(t, dir.Remove()) })
	require.NoError(t, dir.Finalize())

	for content, reason := range map[string]string{
		`{"instance_dir":{"major_version":9,"minor_version":1}}`: "version 9.1: use the tools of the version that runs",
		`{`: "properties.json: unexpected end of JSON input",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir.Path(), "properties.json"), []byte(content), 0o600))

		for _, flag := range []string{"--json", "--quiet", "--json=false"} {
			program := newProgram("passenger", []string{"list-instances"}, nil)
			program.SetArgs([]string{"list-instances", flag})

			var out, errOut bytes.Buffer
			program.SetOut(&out)
			program.SetErr(&errOut)
			require.NoError(t, execute(t.Context(), program))
			require.Contains(t, errOut.String(), "Not looked at: "+dir.Path()+": ", flag)
			require.Contains(t, errOut.String(), reason, flag)
		}
	}
}

// The log says why a core hangs.
func TestLogsOfCoreThatHangsAreTheWatchdogsToTell(t *testing.T) {
	registry, err := os.MkdirTemp("", "p") //nolint:usetesting // sockets have short paths
	require.NoError(t, err)

	t.Cleanup(func() { require.NoError(t, os.RemoveAll(registry)) })
	t.Setenv("PASSENGER_INSTANCE_REGISTRY_DIR", registry)
	t.Setenv("TMPDIR", registry)

	dir, err := instancedir.Create(instancedir.Config{
		Registry:        registry,
		Version:         agent.Version,
		IntegrationMode: "standalone",
		ServerSoftware:  "test",
	})
	require.NoError(t, err)

	t.Cleanup(func() { require.NoError(t, dir.Remove()) })
	require.NoError(t, dir.Finalize())

	// A core that takes connections and says nothing.
	core, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", dir.Socket(instancedir.CoreAPI))
	require.NoError(t, err)
	defer core.Close()

	watchdog, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", dir.Socket(instancedir.WatchdogAPI))
	require.NoError(t, err)

	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"log_file": "/var/log/passenger.log"}`)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(watchdog) }()
	defer func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	}()

	found := instancedir.List([]string{registry}).Instances
	require.Len(t, found, 1)

	var errOut bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetErr(&errOut)
	settings, err := (&logs{patience: time.Millisecond}).askAny(t.Context(), cmd, &found[0])
	require.NoError(t, err)
	require.Equal(t, "/var/log/passenger.log", settings.LogFile)
	require.Contains(t, errOut.String(), "does not say which applications have logs of their own")
}
