// Command passenger serves web applications written in Ruby, Python, Node.js,
// Go and other languages.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/agent"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if err := newCommand(signals).ExecuteContext(context.Background()); err != nil {
		// There may be several errors, a line each.
		fmt.Fprintf(os.Stderr, "passenger: %s\n", strings.ReplaceAll(err.Error(), "\n", "\npassenger: "))
		os.Exit(1)
	}
}

// newCommand returns the whole command line. Commands that run until they are
// told to stop are told by signals.
func newCommand(signals <-chan os.Signal) *cobra.Command {
	root := &cobra.Command{
		Use:           "passenger",
		Short:         "Serve web applications written in Ruby, Python, Node.js, Go and other languages",
		Version:       agent.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("gopassenger {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: '%s --help' lists the options", err, c.CommandPath())
	})
	root.AddCommand(newStartCommand(signals), newStopCommand(), newCoreCommand(signals))
	return root
}
