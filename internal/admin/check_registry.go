package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/gopassenger/passenger/instancedir"
)

func registryChecks() []check {
	return []check{
		{"Instances", "registry", checkRegistry},
		{"Instances", "sockets in the registry", checkSockets},
		{"Instances", "instances", checkStale},
	}
}

// checkRegistry makes an instance directory, as a start does.
func checkRegistry(_ context.Context, h *Host) Result {
	if err := tryInstance(h.Registry, nil); err != nil {
		return fail("choose another one with --instance-registry-dir or "+instancedir.RegistryVariable, "%v", err)
	}

	return ok("%s", h.Registry)
}

// tryInstance makes an instance directory and removes it.
func tryInstance(registry string, use func(*instancedir.Dir) error) error {
	dir, err := instancedir.Create(instancedir.Config{
		Registry:        registry,
		Version:         "0",
		IntegrationMode: "standalone",
		ServerSoftware:  "validate-install",
		UID:             os.Geteuid(),
		GID:             os.Getegid(),
	})
	if err != nil {
		return err
	}

	if use != nil {
		err = use(dir)
	}

	return errors.Join(err, dir.Remove())
}

// checkSockets makes sockets with the longest names that there are.
func checkSockets(ctx context.Context, h *Host) Result {
	err := tryInstance(h.Registry, func(dir *instancedir.Dir) error {
		for _, path := range []string{
			dir.Socket(instancedir.WatchdogAPI),
			filepath.Join(dir.AppSockets(), fmt.Sprintf("%016d", 0)),
		} {
			l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}

			conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
			if err == nil {
				err = conn.Close()
			}

			if err := errors.Join(err, l.Close()); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}

		return nil
	})
	if err != nil {
		return fail("choose a registry with a short path, on a file system that has sockets", "%v", err)
	}

	return ok("")
}

func checkStale(_ context.Context, h *Host) Result {
	l := instancedir.List(instancedir.Registries(h.Getenv))
	if n := len(l.Stale); n > 0 {
		return warn("'passenger list-instances' removes what belongs to you",
			"%d instances have ended without removing their directory, such as %s", n, l.Stale[0].Path)
	}

	return ok("%d instances are running", len(l.Instances))
}
