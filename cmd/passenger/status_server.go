package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/options"
)

// serverFileKeys are the options by which a server's pid file is found.
var serverFileKeys = []string{"port", "socket_file", "pid_file"}

// namesServer reports whether the command is about the server of a pid file.
func namesServer(cmd *cobra.Command) bool {
	for _, key := range serverFileKeys {
		if f := cmd.Flags().Lookup(findOption(options.Start, key).FlagName()); f != nil && f.Changed {
			return true
		}
	}

	return false
}

// showServer tells whether a server runs, by its pid file.
func showServer(ctx context.Context, cmd *cobra.Command, args []string) error {
	cfg, err := loadConfig(cmd, args)
	if err != nil {
		return err
	}

	server, path, err := findServer(ctx, &cfg)
	if err != nil {
		return err
	}

	defer server.Close()

	// findServer also finds a server whose file is gone.
	_, gone := os.Stat(path)
	path = admin.Printable(path)
	if server.Alive && errors.Is(gone, fs.ErrNotExist) {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Passenger is running on PID %d; its PID file %s is gone\n",
			server.PID, path)
	} else if server.Alive {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Passenger is running on PID %d, according to PID file %s\n",
			server.PID, path)
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Passenger is not running, according to PID file %s\n", path)
	}

	return err
}
