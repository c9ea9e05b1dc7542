package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is what the figures are from, and what else it does.
func machine() string {
	var name unix.Utsname
	kernel := "unknown kernel"
	if err := unix.Uname(&name); err == nil {
		kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}

	load, _, _ := strings.Cut(readSystem("/proc/loadavg"), " ")

	return fmt.Sprintf("%s, %d cores, %s, load before this %s", processor(), runtime.NumCPU(), kernel, load)
}

func readSystem(path string) string {
	text, err := os.ReadFile(path) //nolint:gosec // G304: a file of /proc
	if err != nil {
		return "unknown"
	}

	return string(text)
}

func processor() string {
	for line := range strings.Lines(readSystem("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}

	return runtime.GOARCH
}

// versions are those of all that is installed, ours first.
func (b *bench) versions(ctx context.Context) []string {
	return append([]string{oursVersion(b.programs[oursProgram])}, b.programs.versions(ctx)...)
}

func oursVersion(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return oursName + " " + path
	}

	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = " at " + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " with changes"
		}
	}

	return fmt.Sprintf("%s%s%s (%s)", oursName, revision, modified, info.GoVersion)
}
