package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/dashboard"
)

const dashboardHelp = `Dashboard serves a page with live figures of an instance, for one browser on this machine:
open the address that it prints. The address works once; afterwards the browser has a
cookie for the page. The command ends with Ctrl-C, or when the instance does.

The page shows what you may see, as 'passenger status' does. Root and the user of the
instance can restart applications and detach processes there.

On another machine, forward the port: ssh -L 8790:127.0.0.1:8790 HOST, with --port 8790.
For a page that stays, see the option dashboard of the server.`

func (t tools) newDashboardCommand() *cobra.Command {
	var which selection
	var port int
	cmd := &cobra.Command{
		Use:               "dashboard [instance]",
		Short:             "Show live figures of an instance in a browser",
		Long:              dashboardHelp,
		Example:           "  passenger dashboard\n  sudo passenger dashboard d7Y2MA3f --port 8790",
		Args:              atMostOneArgument("instance"),
		ValidArgsFunction: completeInstances,
	}
	cmd.Flags().IntVar(&port, "port", 0, "the TCP `port` of the page (default: any free one)")
	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			which.name = args[0]
		}

		// Of several, the one that serves the current directory.
		if which.name == "" {
			if here := servingAt(listInstances(cmd).Instances, "."); len(here) == 1 {
				which.name = here[0].Name
			}
		}

		instance, err := which.find(cmd)
		if instance == nil {
			return err
		}

		return showDashboard(ctx, cmd, instance, port)
	})

	return cmd
}

// showDashboard serves the page until ctx or the instance ends.
func showDashboard(ctx context.Context, cmd *cobra.Command, instance *instancedir.Instance, port int) error {
	c, err := client(instance, instancedir.CoreAPI, instancedir.FullAccount)
	if err != nil {
		return err
	}

	// An account with its password is one that this user may read, and so may use.
	access := dashboard.Look
	if c.Name == instancedir.FullAccount {
		access = dashboard.Change
	} else if c, err = client(instance, instancedir.CoreAPI, instancedir.ReadOnlyAccount); err != nil {
		return err
	}

	source := dashboard.API{Client: c}
	// What is wrong should show here, and not in the browser.
	if _, err := source.Pool(ctx); err != nil {
		return explain(instance, err)
	}

	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return exit(1, "ERROR: cannot serve the page: %v. Choose another port with --port.", err)
	}

	// The address is one that was listened on.
	_, actual, _ := net.SplitHostPort(l.Addr().String())
	door, token := dashboard.NewToken(access, l.Addr().String(), net.JoinHostPort("localhost", actual))
	page := dashboard.New(dashboard.Config{
		Source: source,
		Door:   door,
		Title:  instance.Name,
		Logger: logr.Discard(),
	})

	fmt.Fprintf(cmd.OutOrStdout(), "The dashboard of the instance %s is at\n\n  http://%s%s?token=%s\n\n"+
		"Press Ctrl-C to end it.\n", instance.Name, l.Addr(), dashboard.Path, token)

	serving, end := context.WithCancelCause(ctx)
	defer end(nil)
	go watchInstance(serving, instance, end)

	if err := apiserver.Serve(serving, l, page, logr.Discard()); err != nil {
		return exit(1, "ERROR: the page cannot be served any more: %v", err)
	}

	if ctx.Err() == nil && errors.Is(context.Cause(serving), errInstanceEnded) {
		fmt.Fprintf(cmd.OutOrStdout(), "The instance %s has ended.\n", instance.Name)
	}

	return nil
}

var errInstanceEnded = errors.New("the instance has ended")

// watchInstance calls end when the instance has ended.
func watchInstance(ctx context.Context, instance *instancedir.Instance, end context.CancelCauseFunc) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()

	for runs(instance) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}

	end(errInstanceEnded)
}

// runs reports whether the instance still runs.
func runs(instance *instancedir.Instance) bool {
	l := instancedir.List(instancedir.Registries(os.Getenv))
	return slices.ContainsFunc(l.Instances, func(i instancedir.Instance) bool { return i.Path == instance.Path })
}
