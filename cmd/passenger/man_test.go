package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// visible calls f for all commands that users see.
func visible(c *cobra.Command, f func(*cobra.Command)) {
	c.InitDefaultHelpFlag()
	f(c)

	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
			visible(sub, f)
		}
	}
}

var manFlagLine = regexp.MustCompile(`(?m)^\.TP\n\.B (?:\\-\w, )?\\-\\-(\S+)`)

// The flags, the help and the manual page of each command agree.
func TestManPagesAndHelpAgree(t *testing.T) {
	pages := manPages()
	visible(newCommand(), func(c *cobra.Command) {
		page, ok := pages[manName(c)+".1"]
		if ok && strings.HasPrefix(page, ".so ") {
			page, ok = pages[strings.TrimSpace(strings.TrimPrefix(page, ".so man1/"))]
		}

		if c.Parent() != nil && c.Parent().CommandPath() == "passenger config about" {
			return // the pages are those of passenger about
		}

		require.True(t, ok, manName(c))
		var flags, documented []string
		usage := c.UsageString()
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				flags = append(flags, f.Name)
				require.Contains(t, usage, "--"+f.Name, c.CommandPath())
				require.NotEmpty(t, f.Usage, "%s --%s", c.CommandPath(), f.Name)
			}
		})

		for _, found := range manFlagLine.FindAllStringSubmatch(page, -1) {
			documented = append(documented, strings.ReplaceAll(found[1], `\-`, "-"))
		}

		require.ElementsMatch(t, flags, documented, c.CommandPath())
		require.Contains(t, page, troff(c.Short))
	})
}

// Every command of the tools says how it is used.
func TestToolsHaveExamples(t *testing.T) {
	for name, create := range (tools{}).programs() {
		visible(create(), func(c *cobra.Command) {
			require.NotEmpty(t, c.Example, "%s: %s", name, c.CommandPath())
			require.NotEmpty(t, c.Short, "%s: %s", name, c.CommandPath())
		})
		require.Equal(t, name, newProgram(name, nil, nil).Name())
	}

	require.Equal(t, "passenger", newProgram("something", nil, nil).Name())
}

func TestTroff(t *testing.T) {
	for text, want := range map[string]string{
		"a-b":       `a\-b`,
		".TH\n'br":  "\\&.TH\n\\(aqbr",
		`\n 'a' ^~`: `\en \(aqa\(aq \(ha\(ti`,
	} {
		require.Equal(t, want, troff(text))
	}
}

// man itself finds nothing wrong with the pages.
func TestManPagesAreValid(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		interpreters.Missing(t, "groff", "no groff in PATH")
	}

	dir := t.TempDir()
	for name, page := range manPages() {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
		if strings.HasPrefix(page, ".so ") {
			continue
		}

		cmd := exec.CommandContext(t.Context(), groff, "-man", "-Tascii", "-ww", "-z", path)
		var trouble bytes.Buffer
		cmd.Stderr = &trouble
		require.NoError(t, cmd.Run(), name)
		require.Empty(t, trouble.String(), name)
	}
}

func TestReport(t *testing.T) {
	for _, test := range []struct {
		err    error
		said   string
		status int
	}{
		{exit(3, "*** ERROR: %s", "x"), "*** ERROR: x\n", 3},
		{errSaid, "", 1},
		{context.DeadlineExceeded, "passenger: context deadline exceeded\n", 1},
		{
			&os.PathError{Op: "open", Path: "x", Err: syscall.EMFILE},
			"passenger: open x: too many open files\n" +
				"passenger: the limit on open files is too low: raise it (ulimit -n, or LimitNOFILE= of a service)\n", 1,
		},
		{
			&os.PathError{Op: "open", Path: "x", Err: syscall.ENFILE},
			"passenger: open x: too many open files in system\n" +
				"passenger: the system has no room for further open files: end programs that have many, or raise its " +
				"limit (fs.file-max)\n", 1,
		},
		{
			fmt.Errorf("the core: %w", &os.PathError{Op: "fork/exec", Path: "x", Err: syscall.EAGAIN}),
			"passenger: the core: fork/exec x: resource temporarily unavailable\n" +
				"passenger: the limit on processes is reached: end some, or raise it (ulimit -u, TasksMax= of a " +
				"service, or pids of a container)\n", 1,
		},
		{
			&os.PathError{Op: "fork/exec", Path: "x", Err: syscall.ENOMEM},
			"passenger: fork/exec x: cannot allocate memory\n" +
				"passenger: there is not enough memory to start a process: end some, add memory or swap, or raise " +
				"the limit of the service or container\n", 1,
		},
		{
			&os.PathError{Op: "read", Path: "x", Err: syscall.EAGAIN},
			"passenger: read x: resource temporarily unavailable\n", 1,
		},
	} {
		var b strings.Builder

		require.Equal(t, test.status, report(&b, "passenger", test.err))
		require.Equal(t, test.said, b.String())
	}
}
