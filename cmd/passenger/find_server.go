package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/agent"
)

// findServer returns the server of a directory that has a pid file, and its path. The file may be gone: it was in a
// release that "current" no longer leads to, or the directory got a tmp/pids since. The error is fs.ErrNotExist, and
// noPIDFile, if there is no such server.
func findServer(ctx context.Context, cfg *agent.Config) (*agent.RunningServer, string, error) {
	path := cfg.PIDFile
	if path == "" {
		path = cfg.DefaultPIDFile()
	}

	server, err := agent.FindServer(path)

	// A pid file that was named is the only one that counts.
	if !errors.Is(err, fs.ErrNotExist) || cfg.PIDFile != "" {
		if errors.Is(err, fs.ErrNotExist) {
			err = noPIDFile(path, nil)
		}

		return server, path, err
	}

	serving := servingAt(instancedir.List(registriesOf(cfg)).Instances, cfg.Dir)
	for i := range serving {
		own, ok := pidFileSettingsOf(ctx, &serving[i])
		if !ok || own.PIDFile == "" || !own.isAt(cfg) {
			continue
		}

		if server, err := agent.ServerOf(&serving[i]); err == nil {
			return server, own.PIDFile, nil
		}
	}

	return nil, path, noPIDFile(path, serving)
}

func registriesOf(cfg *agent.Config) []string {
	if cfg.InstanceRegistryDir != "" {
		return []string{cfg.InstanceRegistryDir}
	}

	return instancedir.Registries(os.Getenv)
}

// pidFileSettings are what an instance was started with.
type pidFileSettings struct {
	PIDFile    string `json:"pid_file"`
	SocketFile string `json:"socket_file"`
	Port       int    `json:"port"`
}

// isAt reports whether the instance has the address of a configuration.
func (s *pidFileSettings) isAt(cfg *agent.Config) bool {
	return s.SocketFile == cfg.SocketFile && (cfg.SocketFile != "" || s.Port == cfg.Port)
}

// pidFileSettingsOf asks an instance, which may not respond.
func pidFileSettingsOf(ctx context.Context, instance *instancedir.Instance) (settings pidFileSettings, ok bool) {
	c, err := client(instance, instancedir.CoreAPI, instancedir.ReadOnlyAccount)
	if err != nil {
		return settings, false
	}

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	body, err := c.Get(ctx, "/config.json")

	return settings, err == nil && json.Unmarshal(body, &settings) == nil
}

// noPIDFileError is an fs.ErrNotExist.
type noPIDFileError struct{ text string }

func (e *noPIDFileError) Error() string { return e.text }

func (*noPIDFileError) Unwrap() error { return fs.ErrNotExist }

// noPIDFile says what serves the directory instead.
func noPIDFile(path string, serving []instancedir.Instance) error {
	var b strings.Builder
	fmt.Fprintf(&b, "there is no pid file %s: the server does not run, or was started with another --port, "+
		"--socket or --pid-file (say the same here), or it runs in the foreground (Ctrl-C ends it)", path)

	for i := range serving {
		p := &serving[i].Properties
		fmt.Fprintf(&b, "\nThe directory is served by the process %d on %s.", p.WatchdogPID,
			admin.Printable(strings.Join(p.Addresses, ", ")))
	}

	return &noPIDFileError{b.String()}
}
