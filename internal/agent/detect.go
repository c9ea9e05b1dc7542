package agent

import (
	"strings"

	"github.com/gopassenger/passenger/spawner"
)

// Recognized is what the application in a directory may be, the most certain first, and what would keep it from being
// started.
type Recognized struct {
	Directory string `json:"directory"`
	// Configured reports whether the configuration says how to start it, so that the rest does not count.
	Configured bool                `json:"configured"`
	Found      []spawner.Detection `json:"found"`
	// Interpreters are those that it would be started with, and those of other languages that it asks for.
	Interpreters []spawner.Interpreter `json:"interpreters,omitempty"`
	// Problem is empty if the application can be started, as far as that can be known without doing it.
	Problem string `json:"problem,omitempty"`
}

// Recognize looks for the application that c would start. It executes nothing.
//
// Errors: ErrNoApp of package spawner, and those of the directory.
func (c *Config) Recognize() (*Recognized, error) {
	r := &Recognized{
		Directory:  c.Dir,
		Configured: c.AppType != "" || c.StartupFile != "" || len(c.StartCommand) > 0,
	}

	var err error
	if r.Found, err = spawner.Detect(c.Dir); err != nil && !r.Configured {
		// Its error says what to do as well.
		_, err = c.interpreters(false)
		return nil, err
	}

	if r.Interpreters, err = c.interpreters(false); err != nil {
		r.Problem = err.Error()
	}

	return r, nil
}

// Text returns the lines for people.
func (r *Recognized) Text() string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			b.WriteString(name + strings.Repeat(" ", max(16-len(name), 1)) + value + "\n")
		}
	}
	line("Directory:", r.Directory)

	if r.Configured {
		line("Configured:", "its configuration says how to start it (passenger config --show)")
	}

	for i := range r.Found {
		title := "Recognized as:"
		if i > 0 || r.Configured {
			title = "Could also be:"
		}

		d := &r.Found[i]
		line(title, d.Framework)
		line("  because:", d.Because)
		line("  type:", d.Type)
		line("  startup file:", d.StartupFile)
		line("  command:", commandOf(d))
		line("  to choose it:", flagsOf(d))
	}

	for i := range r.Interpreters {
		one := &r.Interpreters[i]
		line("Interpreter:", one.Path)
		line("  version:", one.Version)
		line("  from:", one.From)

		if one.Wanted != "" {
			line("  wanted:", one.Wanted+", by "+one.WantedBy)
		}

		line("  warning:", one.Warning)
	}

	line("Problem:", r.Problem)

	return b.String()
}

// commandOf returns the start command as people write it.
func commandOf(d *spawner.Detection) string {
	// People write the command without the exec, which only keeps a shell from waiting for it.
	if last := len(d.StartCommand) - 1; last > 0 && d.StartCommand[0] == "/bin/sh" {
		return strings.TrimPrefix(d.StartCommand[last], "exec ")
	}

	return strings.Join(d.StartCommand, " ")
}

// flagsOf returns the flags of start by which a detection is chosen.
func flagsOf(d *spawner.Detection) string {
	switch {
	case d.Type == "":
		return "--start-command '" + commandOf(d) + "'"
	case d.StartupFile == "":
		return "--app-type " + d.Type
	}

	return "--app-type " + d.Type + " --startup-file '" + d.StartupFile + "'"
}
