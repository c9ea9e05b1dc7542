// Command peers measures passenger start beside the servers that people use in
// its place, all with the same applications, on one machine, in turn.
// The README of the module says how to run it and what the columns mean.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

//go:embed testdata
var testdata embed.FS

// helpers are programs that this one starts besides, itself with their name.
var helpers = map[string]func(args []string) error{
	"supervise":    supervise,
	"reverseproxy": serveReverseProxy,
	"bare":         serveBare,
	"applications": serveApplications,
	"application":  serveApplication,
}

func main() {
	if len(os.Args) > 1 {
		if help, ok := helpers[os.Args[1]]; ok {
			exit(help(os.Args[2:]))
		}
	}

	exit(run(os.Args[1:], os.Stdout))
}

func exit(err error) {
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}

	os.Exit(0)
}

// bench is a run.
type bench struct {
	settings
	programs
	self     string
	dir      string // for all that is written
	served   int    // peers that have been started
	progress *progress
}

// scenarios are what can be measured.
var scenarios = map[string]func(context.Context, *bench, func(section) error) error{
	"hello":   hello,
	"64k":     large,
	"post1m":  uploads,
	"apps100": manyApplications,
	"idle":    idleClients,
	"slow":    slowClients,
	"wiki":    wiki,
	"check":   checkBuilds,
}

func run(args []string, out io.Writer) (err error) {
	settings, err := parseSettings(args, os.Stderr)
	if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	b := &bench{settings: *settings, programs: findPrograms(), progress: newProgress(os.Stderr)}
	if b.programs[wrkProgram] == "" {
		return errors.New("wrk, which makes the requests, is not installed: apt-get install wrk")
	}

	if b.self, err = os.Executable(); err != nil {
		return err
	}

	if b.dir, err = makeDir(); err != nil {
		return err
	}

	defer func() {
		if removed := os.RemoveAll(b.dir); err == nil {
			err = removed
		}
	}()
	if b.programs[oursProgram] = b.ours; b.ours == "" {
		if b.programs[oursProgram], err = buildOurs(ctx, b.dir); err != nil {
			return err
		}
	}

	return b.run(ctx, out)
}

func (b *bench) run(ctx context.Context, out io.Writer) error {
	all := report{Machine: machine(), Versions: b.versions(ctx)}
	if !b.json {
		all.printHead(out)
	}

	for _, name := range b.scenarios {
		err := scenarios[name](ctx, b, func(s section) error {
			b.progress.clear()
			all.Results = append(all.Results, s)
			if b.json {
				return nil
			}

			return s.print(out)
		})
		b.progress.clear()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}

	if b.plot != "" {
		if err := all.writePlot(b.plot); err != nil {
			return err
		}
	}

	if b.json {
		return all.printJSON(out)
	}

	return nil
}

// makeDir makes a directory with the applications that other users can read.
func makeDir() (string, error) {
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return "", err
	}

	files, err := fs.Sub(testdata, "testdata")
	if err == nil {
		err = os.CopyFS(filepath.Join(dir, "apps"), files)
	}

	if err == nil {
		err = os.Chmod(dir, 0o755) //nolint:gosec // G302: servers that become another user have to get in
	}

	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}

	return dir, nil
}
