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
	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/terminal"
)

func main() {
	signals := make(chan os.Signal, 2)

	// Notify would undo what nohup has done.
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}

	setPath()

	program := newProgram(filepath.Base(os.Args[0]), os.Args[1:], signals)
	if err := execute(context.Background(), program); err != nil {
		os.Exit(report(os.Stderr, program.Name(), err))
	}
}

// defaultPath is where programs are on most systems.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// setPath gives this program, and what it starts, a PATH where there is none: some supervisors and containers start
// programs with an empty environment, in which no interpreter would be found. Shells do the same.
func setPath() {
	if _, ok := os.LookupEnv("PATH"); !ok {
		_ = os.Setenv("PATH", defaultPath) // it fails for names and values that are not valid
	}
}

// execute runs a program. Output that cannot be written is an error, also where a command does not look.
func execute(ctx context.Context, program *cobra.Command) error {
	// Messages name files and applications, which may be called anything.
	program.SetErr(printable.TextWriter(program.ErrOrStderr()))

	out := &checkedOutput{Writer: program.OutOrStdout()}
	if !terminal.Is(out.Writer) { // else commands look for the file
		program.SetOut(out)
	}

	if err := program.ExecuteContext(ctx); err != nil {
		return unknownCommand(program, err)
	}

	return out.err
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
