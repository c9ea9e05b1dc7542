package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The names of what peers need.
const (
	oursProgram     = "ours"
	originalProgram = "passenger" // Phusion's
	nodeProgram     = "node"
	pythonProgram   = "python3"
	rubyProgram     = "ruby"
	nginxProgram    = "nginx"
	apacheProgram   = "apache2"
	caddyProgram    = "caddy"
	apacheModule    = "libapache2-mod-passenger"
	gunicornProgram = "gunicorn"
	uvicornModule   = "uvicorn"
	uwsgiProgram    = "uwsgi"
	unicornProgram  = "unicorn"
	pumaProgram     = "puma"
	phpProgram      = "php-fpm"
	phpCGIProgram   = "php-cgi"
	wrkProgram      = "wrk"
	straceProgram   = "strace"
)

// apacheMods is where Debian has the lines that load Apache's modules.
const apacheMods = "/etc/apache2/mods-available"

// program is something that has to be installed.
type program struct {
	name    string
	find    func() string // its path, or empty
	version string        // the option that makes it tell its version
}

func programList() []program {
	return []program{
		{name: originalProgram, find: findOriginal, version: "--version"},
		{name: nginxProgram, version: "-v"},
		{name: apacheProgram, version: "-v"},
		{name: apacheModule, find: findApacheModule},
		{name: caddyProgram, version: "version"},
		{name: nodeProgram, version: "--version"},
		// The system's interpreters come first: servers that are packages use
		// those, and what stands in PATH may be a script.
		{
			name:    pythonProgram,
			find:    func() string { return lookPath("/usr/bin/python3", "python3") },
			version: "--version",
		},
		{name: gunicornProgram, version: "--version"},
		{name: uvicornModule, find: findUvicorn},
		{name: uwsgiProgram, version: "--version"},
		{name: rubyProgram, find: func() string { return lookPath("/usr/bin/ruby", "ruby") }, version: "--version"},
		{name: unicornProgram, version: "--version"},
		{name: pumaProgram, version: "--version"},
		{name: phpProgram, find: findPHP, version: "--version"},
		{name: phpCGIProgram, version: "--version"},
		{name: wrkProgram, version: "-v"},
		{name: straceProgram, version: "--version"},
	}
}

// programs are the paths of those that are installed.
type programs map[string]string

func findPrograms() programs {
	found := programs{}
	for _, p := range programList() {
		find := p.find
		if find == nil {
			find = func() string { return lookPath(p.name, "/usr/sbin/"+p.name) }
		}

		if path := find(); path != "" {
			found[p.name] = path
		}
	}

	return found
}

// missing are the needed ones that are not installed.
func (p programs) missing(needed []string) []string {
	var missing []string
	for _, name := range needed {
		if p[name] == "" {
			missing = append(missing, name)
		}
	}

	return missing
}

// versions asks each for its version.
func (p programs) versions(ctx context.Context) []string {
	list := make([]string, 0, len(p))
	for _, program := range programList() {
		path, ok := p[program.name]
		if !ok || program.version == "" {
			continue
		}

		// Those that say it beside the usage end with a status of failure.
		out, _ := exec.CommandContext(ctx, path, program.version).CombinedOutput()
		line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		list = append(list, withName(program.name, string(line)))
	}

	return list
}

func withName(name, version string) string {
	version = strings.TrimPrefix(strings.TrimSpace(version), "nginx version: ")
	version = strings.TrimPrefix(version, "Server version: ")
	if i := strings.Index(version, " ["); i > 0 {
		version = version[:i]
	}

	if strings.HasPrefix(strings.ToLower(version), strings.ToLower(name)) {
		return version
	}

	return name + " " + version
}

func lookPath(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}

	return ""
}

// findOriginal finds Phusion's passenger, which has the name of ours.
func findOriginal() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/bin") {
		path := filepath.Join(dir, "passenger")
		out, err := exec.CommandContext(ctx, path, //nolint:gosec // G702: programs of PATH are for running
			"--version").Output()
		if err == nil && bytes.HasPrefix(out, []byte("Phusion Passenger")) {
			return path
		}
	}

	return ""
}

// findPHP finds php-fpm, which Debian calls by its version.
func findPHP() string {
	if path := lookPath(phpProgram, "/usr/sbin/"+phpProgram); path != "" {
		return path
	}

	found, _ := filepath.Glob("/usr/sbin/" + phpProgram + "[0-9]*") // the pattern is good
	if len(found) == 0 {
		return ""
	}

	return found[len(found)-1]
}

func findApacheModule() string {
	for _, name := range []string{"passenger.load", "passenger.conf", "mpm_event.load", "authz_core.load"} {
		if _, err := os.Stat(filepath.Join(apacheMods, name)); err != nil {
			return ""
		}
	}

	return apacheMods
}

// buildOurs builds passenger from the checkout that this module is in.
func buildOurs(ctx context.Context, dir string) (string, error) {
	const module = "github.com/gopassenger/passenger"
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Stderr = os.Stderr
	root, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("cannot find %s: %w: run this in the directory bench of the checkout", module, err)
	}

	path := filepath.Join(dir, "passenger")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/passenger")
	build.Dir = strings.TrimSpace(string(root))
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("cannot build passenger in %s: %w: mend it, or give a built one by -passenger", build.Dir,
			err)
	}

	return path, nil
}
