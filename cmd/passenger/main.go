// Command passenger serves web applications written in Ruby, Python, Node.js,
// Go and other languages.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/agent"
)

func main() {
	signals := make(chan os.Signal, 2)

	// Notify would undo what nohup has done.
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}

	program := newProgram(filepath.Base(os.Args[0]), os.Args[1:], signals)
	if err := program.ExecuteContext(context.Background()); err != nil {
		os.Exit(report(os.Stderr, program.Name(), err))
	}
}

// newCommand returns the command line with all commands, none of which can be stopped by a signal.
func newCommand() *cobra.Command { return newRoot(tools{}.all()) }

// newRoot returns the command line with some of the commands.
func newRoot(commands []command) *cobra.Command {
	root := &cobra.Command{
		Use:     "passenger",
		Short:   "Serve web applications written in Ruby, Python, Node.js, Go and other languages",
		Version: agent.Version,
	}
	prepare(root)

	for _, c := range commands {
		root.AddCommand(c.create())
	}

	return root
}
