package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/agent"
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
func showServer(cmd *cobra.Command, args []string) error {
	cfg, err := loadConfig(cmd, args)
	if err != nil {
		return err
	}

	path := pidFileOf(&cfg)
	server, err := agent.FindServer(path)
	if errors.Is(err, fs.ErrNotExist) {
		return noPIDFile(path)
	}

	if err != nil {
		return err
	}

	defer server.Close()
	if server.Alive {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Passenger is running on PID %d, according to PID file %s\n",
			server.PID, path)
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Passenger is not running, according to PID file %s\n", path)
	}

	return err
}
