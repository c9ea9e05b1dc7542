package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/terminal"
)

// maxCallBody is how large a body is sent: servers take less.
const maxCallBody = 1 << 20

// apiCall is a call of the admin API.
type apiCall struct {
	which               selection
	agent, socket       string
	data, file          string
	stdin               bool
	showHeaders, ignore bool
}

func (t tools) newAPICallCommand() *cobra.Command {
	var c apiCall
	cmd := &cobra.Command{
		Use:   "api-call METHOD PATH",
		Short: "Call the admin API of an agent",
		Long: "Api-call sends a request to the admin API of an agent and prints the response.\n\n" +
			"METHOD is GET, POST, PUT or DELETE, PATH begins with a slash. The status is 1 when the\n" +
			"response's is not one of success.",
		Example: "  passenger-config api-call GET /server.json\n" +
			"  passenger-config api-call PUT /config.json -d '{\"log_level\": 5}'\n" +
			"  passenger-config api-call POST /shutdown.json -a watchdog_api",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return exit(1, "Please pass a method and a path. See '%s --help' for more information.",
					cmd.CommandPath())
			}

			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete},
					cobra.ShellCompDirectiveNoFileComp
			}

			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.which.addFlags(cmd)
	f := cmd.Flags()
	f.StringVarP(&c.agent, "agent", "a", instancedir.CoreAPI, "the agent's `socket`: "+instancedir.CoreAPI+" or "+
		instancedir.WatchdogAPI)
	f.StringVarP(&c.socket, "socket", "S", "", "call the Unix socket of this `path` instead")
	f.StringVarP(&c.data, "data", "d", "", "the body of the request, a `text`")
	f.StringVarP(&c.file, "data-file", "f", "", "a `file` with the body of the request")
	f.BoolVarP(&c.stdin, "stdin", "i", false, "read the body of the request from standard input")
	f.BoolVar(&c.showHeaders, "show-headers", false, "print the status and the headers of the response")
	f.BoolVar(&c.ignore, "ignore-response-code", false, "exit successfully whatever the status of the response")
	cmd.MarkFlagsMutuallyExclusive("data", "data-file", "stdin")
	cmd.MarkFlagsMutuallyExclusive("socket", "agent")
	cmd.MarkFlagsMutuallyExclusive("socket", "instance")

	// the flag is there
	_ = cmd.RegisterFlagCompletionFunc("agent",
		cobra.FixedCompletions([]string{instancedir.CoreAPI, instancedir.WatchdogAPI},
			cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.run(ctx, cmd, strings.ToUpper(args[0]), args[1])
	})

	return cmd
}

func (c *apiCall) run(ctx context.Context, cmd *cobra.Command, method, path string) error {
	if !strings.HasPrefix(path, "/") {
		return exit(1, "ERROR: the path %q does not begin with a slash.", path)
	}

	body, err := c.body(cmd.InOrStdin())
	if err != nil {
		return err
	}

	// For messages only: a socket that is named belongs to no instance that is known here.
	instance := &instancedir.Instance{Name: "at " + c.socket}
	api := &apiserver.Client{Socket: c.socket}
	if c.socket == "" {
		if err := c.checkAgent(); err != nil {
			return err
		}

		if instance, err = c.which.find(cmd); instance == nil {
			return err
		}

		if api, err = client(instance, c.agent, instancedir.FullAccount); err != nil {
			return err
		}
	}

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := api.Do(ctx, method, path, body)
	if err != nil {
		return explain(instance, err)
	}

	return c.print(cmd.OutOrStdout(), response)
}

// checkAgent keeps its name from being a path to elsewhere.
func (c *apiCall) checkAgent() error {
	if c.agent == instancedir.CoreAPI || c.agent == instancedir.WatchdogAPI {
		return nil
	}

	return exit(1, "ERROR: there is no agent %q: there are %s and %s. Any other socket is named with --socket.",
		c.agent, instancedir.CoreAPI, instancedir.WatchdogAPI)
}

func (c *apiCall) body(stdin io.Reader) ([]byte, error) {
	r := stdin
	switch {
	case c.file != "":
		f, err := os.Open(c.file)
		if err != nil {
			return nil, exit(1, "ERROR: cannot read the body of the request: %v", err)
		}
		defer f.Close()
		r = f
	case !c.stdin:
		return []byte(c.data), nil
	}

	// One byte more tells that there are too many.
	body, err := io.ReadAll(io.LimitReader(r, maxCallBody+1))
	switch {
	case err != nil:
		return nil, exit(1, "ERROR: cannot read the body of the request: %v", err)
	case len(body) > maxCallBody:
		return nil, exit(1, "ERROR: the body of the request has more than %d bytes, which no agent takes.", maxCallBody)
	}

	return body, nil
}

func (c *apiCall) print(w io.Writer, a *apiserver.Response) error {
	var b bytes.Buffer
	if c.showHeaders {
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", a.Status, http.StatusText(a.Status))

		for _, name := range slices.Sorted(maps.Keys(a.Header)) {
			for _, value := range a.Header[name] {
				fmt.Fprintf(&b, "%s: %s\n", strings.ToLower(admin.Printable(name)), admin.Printable(value))
			}
		}

		b.WriteByte('\n')
	}

	if terminal.Is(w) {
		b.WriteString(admin.PrintableText(string(a.Body)))
	} else {
		b.Write(a.Body)
	}

	if n := b.Len(); n > 0 && b.Bytes()[n-1] != '\n' {
		b.WriteByte('\n')
	}

	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}

	if (a.Status < 200 || a.Status > 299) && !c.ignore {
		return errSaid
	}

	return nil
}
