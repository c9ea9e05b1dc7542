package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/terminal"
)

// newMemoryStatsCommand returns the command of that name, which may be a program.
func (t tools) newMemoryStatsCommand(name string) *cobra.Command {
	var noApache, noNginx, asJSON, colour bool
	cmd := &cobra.Command{
		Use:   name,
		Short: "Show how much memory web servers and applications use",
		Long: "Memory-stats shows the memory of Apache, of nginx, and of our agents and the processes that\n" +
			"they have started. Private is what would be free without the process: what is resident,\n" +
			"changed and not shared. Without root, that of other users' processes shows as \"?\".\n\n" +
			"With --json it prints {version, at, apache, nginx, passenger}; each of the last three is\n" +
			"{processes: [{pid, ppid, vmSize, rss, privateDirty, swap, name}], totalPrivateDirty, complete},\n" +
			"with sizes in bytes and null for what is unknown.",
		Example: "  sudo passenger-memory-stats\n  passenger memory-stats --no-apache --json",
		Args:    noArguments,
	}
	f := cmd.Flags()
	f.BoolVar(&noApache, "no-apache", false, "leave out Apache")
	f.BoolVar(&noNginx, "no-nginx", false, "leave out nginx")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&colour, "force-colors", false, "show colors even if the output is no terminal")
	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		warn := func(s string) { fmt.Fprintf(cmd.ErrOrStderr(), "*** WARNING: %s\n", admin.Printable(s)) }
		scan := admin.MemoryScan{
			Version:     agent.Version,
			Instances:   listInstances(cmd).Instances,
			CallTimeout: callTimeout,
			NoApache:    noApache,
			NoNginx:     noNginx,
			HTTPD:       os.Getenv("HTTPD"),
			Warn:        warn,
		}
		report, err := scan.Run(ctx)
		if err != nil {
			return err
		}

		w := cmd.OutOrStdout()
		if asJSON {
			return printJSON(w, report)
		}

		if err := report.WriteText(w, terminal.Colours(w, colour, os.Getenv)); err != nil {
			return err
		}

		if os.Geteuid() != 0 && !report.Complete() {
			warn("Please run this tool with 'sudo': the private memory of some processes may not be read.")
		}

		return nil
	})

	return cmd
}
