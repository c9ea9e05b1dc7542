package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/terminal"
)

const (
	// daemonVariable is set for a server in the background, which then has a pipe for
	// its report, and one whose end it waits for before it begins.
	daemonVariable = "PASSENGER_DAEMON"
	reportFD       = 3
	beginFD        = 4
	// maxReportLine bounds a line of the report, which may have something to say of each of thousands of applications.
	maxReportLine = 8 << 20
)

// inBackground starts this program once more, with the same arguments and cfg's
// log as its output, and returns when its applications serve. What it tells goes to out.
// A signal before that ends the server.
func inBackground(ctx context.Context, cfg *agent.Config, signals <-chan os.Signal, out, errOut io.Writer) error {
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
	theirBegin, begin, err := os.Pipe()
	if err != nil {
		return errors.Join(err, theirs.Close())
	}
	defer begin.Close()

	cmd := thisCommand(ctx)
	if os.Getenv("WATCHDOG_PID") == strconv.Itoa(os.Getpid()) { // the child's are the signs of life that count
		if err := os.Unsetenv("WATCHDOG_PID"); err != nil {
			return err
		}
	}

	cmd.Env = append(os.Environ(), daemonVariable+"=true")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{theirs, theirBegin}
	// In a session of its own it has no terminal, whose keys and whose end would end it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	// The server has its own; with ours open, this command would not see that the server has ended.
	_, _ = theirs.Close(), theirBegin.Close()
	if err != nil {
		return fmt.Errorf("cannot start the server in the background: %w", err)
	}

	letBegin(cmd.Process.Pid, begin, errOut)

	// It ends by itself only when it fails, and then its status says how.
	err = followReport(ctx, in, signals, out, cfg)
	if ended, ok := errors.AsType[*endedEarlyError](err); ok {
		ended.err = cmd.Wait()
		return err
	}

	if by, ok := errors.AsType[*interruptedError](err); ok {
		by.endServer(cmd, signals)
		return exit(128+int(by.signal), "%v", by)
	}

	return errors.Join(err, cmd.Process.Release())
}

// letBegin lets the server begin, of which a service manager hears before: systemd ignores what a process says that is
// not the main one of its unit.
func letBegin(pid int, begin io.Closer, errOut io.Writer) {
	if !supervised() {
		_ = begin.Close()
		return
	}

	err := agent.NotifyMainPID(pid)
	// Printing may take as long as the reader likes.
	_ = begin.Close()

	fmt.Fprintln(errOut, "passenger: warning: a service manager runs this command, and --daemonize leaves the "+
		"server to itself: leave that option out, with Type=notify in systemd's unit")
	if err != nil {
		fmt.Fprintf(errOut, "passenger: warning: %v\n", err)
	}
}

// thisCommand returns this program with its arguments, for a process that outlives ctx.
func thisCommand(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), //nolint:gosec // G702: it is this program again
		agent.Executable(),
		os.Args[1:]...)
	// By this name the program knows which command it is, and where an upgrade puts its file.
	cmd.Args[0] = os.Args[0]
	// It has another working directory soon.
	if strings.ContainsRune(os.Args[0], filepath.Separator) {
		if path, err := filepath.Abs(os.Args[0]); err == nil {
			cmd.Args[0] = path
		}
	}

	return cmd
}

// supervised reports whether a service manager has started this program.
func supervised() bool {
	if os.Getenv("NOTIFY_SOCKET") != "" {
		return true
	}

	// The shell in a window of a desktop has this variable, too, but also a terminal.
	isTerminal := func(f *os.File) bool { return terminal.Is(f) }

	return os.Getenv("INVOCATION_ID") != "" && !slices.ContainsFunc([]*os.File{os.Stdin, os.Stdout, os.Stderr},
		isTerminal)
}

// reportLine is a line of JSON of the report of a server in the background. One field
// counts.
type reportLine struct {
	// Banner is what the server says when it takes requests.
	Banner *string `json:"banner,omitempty"`
	// App is how the start of an application went.
	App *agent.AppStart `json:"app,omitempty"`
	// Done is true when all applications have started.
	Done bool `json:"done,omitempty"`
	// FailedApps says which do not start, while the server serves error pages.
	FailedApps string `json:"failed_apps,omitempty"`
	// Failed is why the server has ended, or is about to.
	Failed string `json:"failed,omitempty"`
}

// endedEarlyError means that a server has ended that was to serve.
type endedEarlyError struct {
	log, reason string
	err         error // how it ended
}

func (e *endedEarlyError) Error() string {
	if e.reason != "" {
		return e.reason
	}

	err := e.err
	if err == nil {
		err = errors.New("exit status 0")
	}

	return fmt.Sprintf("the server in the background has ended before it could serve: see its log %s (%v)", e.log, err)
}

// interruptedError means that a signal came before the server in the background served.
type interruptedError struct{ signal syscall.Signal }

func (e *interruptedError) Error() string {
	return fmt.Sprintf("the start was interrupted by %s, and the server in the background has ended",
		signalName(e.signal))
}

// endServer returns when the server has ended. Another signal is another one for the server as well, which then ends
// at once.
func (e *interruptedError) endServer(cmd *exec.Cmd, signals <-chan os.Signal) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// Whatever its status is: a signal has ended it.
		_ = cmd.Wait()
	}()

	for {
		// It may just have ended.
		_ = cmd.Process.Signal(syscall.SIGTERM)

		select {
		case <-signals:
		case <-ended:
			return
		}
	}
}

// followReport shows how the start of a server in the background goes, until that is
// over. The error is why it failed.
func followReport(ctx context.Context, in io.Reader, signals <-chan os.Signal, out io.Writer, cfg *agent.Config) error {
	lines := readReport(ctx, in)

	var progress terminal.Progress
	if f, ok := out.(*os.File); ok && terminal.Is(f) {
		progress.Out = f
	}

	began := time.Now()
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()

	for {
		select {
		case line, ok := <-lines:
			progress.Clear()

			switch {
			case !ok:
				return &endedEarlyError{log: cfg.LogFile}
			case line.Banner != nil:
				fmt.Fprint(out, *line.Banner)
			case line.App != nil && line.App.State == agent.Started:
				fmt.Fprintln(out, startedLine(line.App))
			case line.Done:
				return nil
			case line.Failed != "":
				return &endedEarlyError{reason: line.Failed}
			case line.FailedApps != "":
				return exit(1, "%s\nThe server runs and serves error pages until the application starts. "+
					"'passenger restart-app' starts a corrected one, 'passenger stop' ends the server; its log is %s.",
					line.FailedApps, cfg.LogFile)
			}
		case s := <-signals:
			// The end of the terminal ends nothing in the background.
			if number, _ := s.(syscall.Signal); number != syscall.SIGHUP {
				progress.Clear()
				return &interruptedError{signal: number}
			}
		case <-ticker.C:
			progress.Show(fmt.Sprintf("Starting the application: %.0f s", time.Since(began).Seconds()))
		case <-ctx.Done():
			progress.Clear()
			return ctx.Err()
		}
	}
}

// readReport returns the lines of a report, until its end or that of ctx.
func readReport(ctx context.Context, in io.Reader) <-chan reportLine {
	lines := make(chan reportLine)
	go func() {
		defer close(lines)

		limited := &io.LimitedReader{R: in}
		for decoder := json.NewDecoder(limited); ; {
			// Each line has its own limit: the report is as long as there are applications.
			limited.N = maxReportLine

			var line reportLine
			if decoder.Decode(&line) != nil {
				return
			}

			select {
			case lines <- line:
			case <-ctx.Done():
				return
			}
		}
	}()

	return lines
}

// openOutput opens the log, or nothing if that is another user's to make, which the
// server will become.
func openOutput(cfg *agent.Config) (*os.File, error) {
	if cfg.User != "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}

	return agent.OpenLogFile(cfg.LogFile)
}

// reporter reports the start of a server in the background to the command that has
// started it. A nil one reports nothing.
type reporter struct{ pipe *os.File }

// newReporter returns nil if this program is not in the background.
func newReporter() (*reporter, error) {
	if os.Getenv(daemonVariable) == "" {
		return nil, nil
	}

	begin := os.NewFile(beginFD, "begin")
	_, _ = io.Copy(io.Discard, begin) // also when the command is killed, it ends
	_ = begin.Close()

	// A child that has the pipe as well would keep the command waiting.
	syscall.CloseOnExec(reportFD)

	return &reporter{pipe: os.NewFile(reportFD, "report")}, errors.Join(os.Unsetenv(daemonVariable), os.Chdir("/"))
}

// tell writes a line. Its reader may have gone.
func (r *reporter) tell(line *reportLine) {
	if r == nil {
		return
	}

	// Also after the end of the report, when nothing reads it.
	_ = json.NewEncoder(r.pipe).Encode(line)
}

// end writes the last line; later lines are ignored.
func (r *reporter) end(line *reportLine) {
	if r != nil {
		r.tell(line)
		_ = r.pipe.Close()
	}
}

func (r *reporter) serving(banner string)   { r.tell(&reportLine{Banner: &banner}) }
func (r *reporter) app(app *agent.AppStart) { r.tell(&reportLine{App: app}) }
func (r *reporter) done()                   { r.end(&reportLine{Done: true}) }
func (r *reporter) failedApps(err error)    { r.end(&reportLine{FailedApps: err.Error()}) }

func (r *reporter) failed(err error) {
	if err != nil {
		r.end(&reportLine{Failed: err.Error()})
	}
}
