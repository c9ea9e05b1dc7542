package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/terminal"
)

// systemMetrics is what is shown of the system, and when.
type systemMetrics struct {
	asXML, asJSON, colour      bool
	noGeneral, noCPU, noMemory bool
	stdin, goOn                bool
	seconds                    float64
	reader                     admin.MetricsReader
}

// firstSample is how long the first shares of the processors' time are taken over.
const firstSample = 100 * time.Millisecond

func (t tools) newSystemMetricsCommand() *cobra.Command {
	m := &systemMetrics{reader: admin.MetricsReader{Version: agent.Version}}
	cmd := &cobra.Command{
		Use:   "system-metrics",
		Short: "Show what this host is doing",
		Long: "System-metrics shows load, processors, memory and swap of this host.\n\n" +
			"With --json it prints an object {at, version, general, cpu, memory} on lines of its own,\n" +
			"or with --watch one each time: general has kernel, booted, uptimeSeconds, load1, load5,\n" +
			"load15, processes, processesRunning and forkRate; cpu has count, average and cpus with\n" +
			"usage, user, nice, system, iowait, idle and steal in percent; memory has total, used,\n" +
			"free, swapTotal, swapUsed, swapFree in bytes, swapInRate and swapOutRate in bytes a\n" +
			"second. Unknown rates are null. With --xml it is the original's form, in kB.",
		Example: "  passenger-config system-metrics\n  passenger-config system-metrics --no-general --watch 5",
		Args:    noArguments,
	}
	f := cmd.Flags()
	f.BoolVar(&m.asXML, "xml", false, "print XML")
	f.BoolVar(&m.asJSON, "json", false, "print JSON")
	f.BoolVar(&m.noGeneral, "no-general", false, "leave out the kernel, the load and the processes")
	f.BoolVar(&m.noCPU, "no-cpu", false, "leave out the processors")
	f.BoolVar(&m.noMemory, "no-memory", false, "leave out memory and swap")
	f.BoolVar(&m.colour, "force-colors", false, "show colors even if the output is no terminal")
	f.Float64VarP(&m.seconds, "watch", "w", 0, "the `seconds` between two views")
	f.BoolVar(&m.stdin, "stdin", false, "show them again for each line of standard input")
	f.BoolVar(&m.goOn, "no-exit-on-unexpected-error", false, "report figures that cannot be read, and continue")
	cmd.MarkFlagsMutuallyExclusive("xml", "json")
	cmd.MarkFlagsMutuallyExclusive("watch", "stdin")
	cmd.RunE = t.run(m.run)

	return cmd
}

func (m *systemMetrics) run(ctx context.Context, cmd *cobra.Command, _ []string) error {
	const minSeconds, maxSeconds = 0.1, 1e6
	// NaN is not within any limits.
	if cmd.Flags().Changed("watch") && !(m.seconds >= minSeconds && m.seconds <= maxSeconds) {
		return exit(1, "ERROR: --watch needs a number of seconds, from %v to %v.", minSeconds, maxSeconds)
	}

	// Rates are those since the reading before.
	if _, err := m.reader.Read(); err != nil && !m.goOn {
		return err
	}

	if err := pause(ctx, time.After(firstSample)); err != nil {
		return err
	}

	if err := m.show(cmd); err != nil {
		return err
	}

	switch {
	case m.stdin:
		return m.followLines(ctx, cmd)
	case m.seconds > 0:
		tick := time.NewTicker(time.Duration(m.seconds * float64(time.Second)))
		defer tick.Stop()

		for {
			if err := pause(ctx, tick.C); err != nil {
				return err
			}

			if err := m.show(cmd); err != nil {
				return err
			}
		}
	}

	return nil
}

func pause(ctx context.Context, until <-chan time.Time) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// followLines ends with the input; a read that waits then ends with the program.
func (m *systemMetrics) followLines(ctx context.Context, cmd *cobra.Command) error {
	lines := make(chan struct{})
	go func() {
		defer close(lines)

		for in := bufio.NewReader(cmd.InOrStdin()); ; {
			//nolint:errorlint // it is not wrapped
			if _, err := in.ReadSlice('\n'); err != nil &&
				err != bufio.ErrBufferFull {
				return
			} else if err != nil {
				continue
			}

			select {
			case lines <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()

	for {
		select {
		case _, more := <-lines:
			if !more {
				return nil
			}

			if err := m.show(cmd); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *systemMetrics) show(cmd *cobra.Command) error {
	all, err := m.reader.Read()
	if err != nil {
		if !m.goOn {
			return err
		}

		fmt.Fprintf(cmd.ErrOrStderr(), "*** WARNING: %v\n", err)

		return nil
	}

	metrics := all.Only(admin.Parts{General: !m.noGeneral, CPU: !m.noCPU, Memory: !m.noMemory})

	w := cmd.OutOrStdout()
	switch {
	case m.asJSON:
		return printJSON(w, metrics)
	case m.asXML:
		return metrics.WriteXML(w)
	}

	return metrics.WriteText(w, terminal.Colours(w, m.colour, os.Getenv))
}
