package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/instancedir"
)

// detachment is the command detach-process.
type detachment struct {
	which                 selection
	ignoreMissing, asJSON bool
}

func (t tools) newDetachProcessCommand() *cobra.Command {
	d := &detachment{}
	cmd := &cobra.Command{
		Use:   "detach-process PID",
		Short: "Take a process of an application out of the pool",
		Long: "Detach-process takes a process of an application out of the pool and lets it end: it\n" +
			"gets no more requests, and finishes those that it has. Another one is started in its\n" +
			"place if it is needed. To abort its requests, kill the process instead.\n\n" +
			"With --json it prints {\"pid\": 4021, \"detached\": true}.",
		Example: "  passenger-config detach-process 4021",
		Args:    oneArgument("PID"),

		ValidArgsFunction: completePIDs(&d.which),
	}
	d.which.addFlags(cmd)
	d.which.addIgnoreFlag(cmd)
	cmd.Flags().BoolVar(&d.ignoreMissing, "ignore-nonexistent-pid", false,
		"exit successfully if the pool has no such process")
	cmd.Flags().BoolVar(&d.ignoreMissing, "ignore-nonexistant-pid", false, "")
	_ = cmd.Flags().MarkHidden("ignore-nonexistant-pid") // the original's spelling
	cmd.Flags().BoolVar(&d.asJSON, "json", false, "print JSON")
	cmd.RunE = t.run(d.run)

	return cmd
}

func (d *detachment) run(ctx context.Context, cmd *cobra.Command, args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil || pid <= 0 {
		return exit(1, "ERROR: %q is not the PID of a process.", args[0])
	}

	instance, err := d.which.find(cmd)
	if instance == nil {
		if err == nil && d.asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{"pid": pid, "detached": false})
		}

		return err
	}

	c, err := client(instance, instancedir.CoreAPI, instancedir.FullAccount)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	detached, err := c.DetachProcess(ctx, pid)
	if err != nil {
		return explain(instance, err)
	}

	return d.tell(cmd.OutOrStdout(), pid, detached)
}

// tell writes what came of it. Its error is the exit status.
func (d *detachment) tell(w io.Writer, pid int, detached bool) error {
	switch {
	case d.asJSON:
		if err := printJSON(w, map[string]any{"pid": pid, "detached": detached}); err != nil {
			return err
		}
	case detached:
		fmt.Fprintf(w, "Process %d detached.\n", pid)
	case d.ignoreMissing:
		fmt.Fprintf(w, "Could not detach process %d.\n", pid)
	default:
		return exit(1, "Could not detach process %d.", pid)
	}

	if !detached && !d.ignoreMissing {
		return errSaid
	}

	return nil
}
