package agent

import (
	"slices"
	"strings"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/spawner"
)

// noPaths as the only one of unlimited_concurrency_paths means that there are none.
const noPaths = "none"

// configuredPaths returns what unlimited_concurrency_paths has; nil means that it is not set.
func (c *Requests) configuredPaths() []string {
	if slices.Equal(c.UnlimitedConcurrencyPaths, []string{noPaths}) {
		return []string{}
	}

	return c.UnlimitedConcurrencyPaths
}

// unlimitedPaths returns the configured paths, or else those of WebSockets and streams that the application's framework
// is known to use, where a process takes a limited number of requests, so that each of these would occupy a place.
func (c *Config) unlimitedPaths(log logr.Logger) []string {
	if configured := c.configuredPaths(); configured != nil || c.ForceMaxConcurrency == 0 {
		return configured
	}

	streams := spawner.DetectStreams(c.options().App)

	// A WebSocket of Ruby leaves its thread, but one of WSGI keeps it: more of them would wait in the process.
	limited := streams.Type == "rack" || c.ForceMaxConcurrency > 0 && streams.Type != "wsgi"
	if !limited || len(streams.Paths) == 0 {
		return nil
	}

	log.Info("processes of their own take any number of requests for the paths of WebSockets and streams: "+
		"to choose others, set unlimited_concurrency_paths, or none",
		"app", c.Dir, "paths", strings.Join(streams.Paths, " "), "because", strings.Join(streams.Because, ", "))

	return streams.Paths
}
