package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/agent"
)

const (
	// daemonVariable is set for a server in the background, which has a pipe for
	// its report then.
	daemonVariable = "PASSENGER_DAEMON"
	reportFD       = 3
	maxReport      = 64 << 10
	// reportServing is the first line of the report of a server that serves; any
	// other is an error.
	reportServing = "serving\n"
)

// inBackground starts this program once more, with the same arguments and cfg's
// log as its output, and returns when it serves. What it tells then goes to out.
func inBackground(ctx context.Context, cfg *agent.Config, out io.Writer) error {
	log, err := openOutput(cfg)
	if err != nil {
		return err
	}
	defer log.Close()
	in, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), agent.Executable(), os.Args[1:]...) //nolint:gosec // G702: it is this program again
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), daemonVariable+"=true")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it has no terminal
	err = cmd.Start()
	_ = theirs.Close() // it has its own
	if err != nil {
		return fmt.Errorf("cannot start the server in the background: %w", err)
	}
	report, err := io.ReadAll(io.LimitReader(in, maxReport))
	if err != nil {
		return err
	}
	if banner, serves := strings.CutPrefix(string(report), reportServing); serves {
		_, err := io.WriteString(out, banner)
		return errors.Join(err, cmd.Process.Release())
	}
	ended := cmd.Wait()
	if ended == nil {
		ended = errors.New("exit status 0")
	}
	if len(report) > 0 {
		return errors.New(strings.TrimSpace(string(report)))
	}
	return fmt.Errorf("the server in the background has ended before it could serve: see its log %s (%w)", cfg.LogFile, ended)
}

// openOutput opens the log, or nothing if that is another user's to make, which the
// server will become.
func openOutput(cfg *agent.Config) (*os.File, error) {
	if cfg.User != "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	return agent.OpenLogFile(cfg.LogFile)
}

// reporter tells whoever has started a server in the background how that went. A
// nil one tells nobody.
type reporter struct{ pipe *os.File }

// newReporter returns nil if this program is not in the background.
func newReporter() (*reporter, error) {
	if os.Getenv(daemonVariable) == "" {
		return nil, nil
	}
	syscall.CloseOnExec(reportFD)
	signal.Ignore(syscall.SIGHUP) // there is no terminal that could be gone
	return &reporter{pipe: os.NewFile(reportFD, "report")}, errors.Join(os.Unsetenv(daemonVariable), os.Chdir("/"))
}

func (r *reporter) serving(banner string) {
	if r != nil {
		_, _ = io.WriteString(r.pipe, reportServing+banner) // nobody may be waiting any more
		_ = r.pipe.Close()
	}
}

func (r *reporter) failed(err error) {
	if r != nil {
		_, _ = io.WriteString(r.pipe, err.Error())
		_ = r.pipe.Close()
	}
}
