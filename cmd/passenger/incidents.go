package main

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/incident"
	"github.com/gopassenger/passenger/internal/printable"
)

// look is a command that asks a core for what it shows of processes.
type look struct {
	which  selection
	asJSON bool
}

func (l *look) addFlags(cmd *cobra.Command) {
	l.which.addFlags(cmd)
	cmd.Flags().BoolVar(&l.asJSON, "json", false, "print JSON")
}

// ask calls the core of the instance and returns its response.
func (l *look) ask(ctx context.Context, cmd *cobra.Command, level string,
	call func(context.Context, *apiserver.Client) ([]byte, error),
) ([]byte, error) {
	instance, err := l.which.find(cmd)
	if err != nil {
		return nil, err
	}

	c, err := client(instance, instancedir.CoreAPI, level)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	body, err := call(ctx, c)
	if err != nil {
		return nil, explain(instance, err)
	}

	return body, nil
}

// print writes a record as JSON, or for people.
func (l *look) print(w io.Writer, body []byte) error {
	if l.asJSON {
		_, err := w.Write(printable.JSON(body))
		return err
	}

	record, err := incident.Decode(body)
	if err != nil {
		return exit(1, "*** ERROR: the instance's response cannot be read: %s", admin.Printable(err.Error()))
	}

	return record.WriteText(w)
}

func (t tools) newIncidentsCommand() *cobra.Command {
	l := &look{}
	cmd := &cobra.Command{
		Use:   "incidents [ID]",
		Short: "Show what processes did before they were killed",
		Long: "Incidents lists the last 50 incidents of an instance: processes that were killed for a limit\n" +
			"or ended by themselves, and requests that were given up. With an ID, as the list and the\n" +
			"log have it, it shows one: the request, the others of the process, the backtraces of its\n" +
			"threads, its last output, and what the system said of it.\n\n" +
			"With --json, it prints {\"incidents\": [...]}, or the incident's file.",
		Example:           "  passenger incidents\n  passenger incidents 20261130-025507-ae3ub4bl",
		Args:              atMostOneArgument("ID"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	l.addFlags(cmd)
	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return l.list(ctx, cmd)
		}

		if !incident.IsID(args[0]) {
			return exit(1, "ERROR: '%s' is not the ID of an incident: 'passenger incidents' lists them.",
				admin.Printable(args[0]))
		}

		body, err := l.ask(ctx, cmd, instancedir.ReadOnlyAccount,
			func(ctx context.Context, c *apiserver.Client) ([]byte, error) {
				body, err := c.Get(ctx, "/incidents/"+args[0]+".json")
				if e, ok := errors.AsType[*apiserver.StatusError](err); ok && e.Message != "" {
					// The server has said what is wrong with this one.
					return nil, exit(1, "*** ERROR: %s", admin.Printable(e.Message))
				}

				return body, err
			})
		if err != nil {
			return err
		}

		return l.print(cmd.OutOrStdout(), body)
	})

	return cmd
}

func (l *look) list(ctx context.Context, cmd *cobra.Command) error {
	body, err := l.ask(ctx, cmd, instancedir.ReadOnlyAccount,
		func(ctx context.Context, c *apiserver.Client) ([]byte, error) { return c.Get(ctx, "/incidents.json") })
	if err != nil {
		return err
	}

	list, err := incident.DecodeList(body)
	if err != nil {
		return exit(1, "*** ERROR: the instance's response cannot be read: %s", admin.Printable(err.Error()))
	}

	if l.asJSON {
		return printJSON(cmd.OutOrStdout(), list)
	}

	return list.WriteText(cmd.OutOrStdout())
}

func (t tools) newBacktracesCommand() *cobra.Command {
	l := &look{}
	cmd := &cobra.Command{
		Use:   "backtraces PID",
		Short: "Show what a process of an application is doing",
		Long: "Backtraces shows what an incident has, for a process that keeps running: its requests, the\n" +
			"backtraces of its threads, its last output, and what the system says of it. The process\n" +
			"does nothing else than before.\n\n" +
			"Ruby, Python and Go show their threads, Node.js and php-fpm if max_request_time is set. Of\n" +
			"other programs, it shows what the system knows.",
		Example:           "  passenger backtraces 4021",
		Args:              oneArgument("PID"),
		ValidArgsFunction: completePIDs(&l.which),
	}
	l.addFlags(cmd)
	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		pid, err := strconv.Atoi(args[0])
		if err != nil || pid <= 0 {
			return exit(1, "ERROR: %q is not the PID of a process.", args[0])
		}

		body, err := l.ask(ctx, cmd, instancedir.FullAccount,
			func(ctx context.Context, c *apiserver.Client) ([]byte, error) {
				return c.Post(ctx, "/pool/backtraces.json", map[string]any{"pid": pid})
			})
		if err != nil {
			return err
		}

		return l.print(cmd.OutOrStdout(), body)
	})

	return cmd
}
