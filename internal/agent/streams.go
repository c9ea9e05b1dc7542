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

// mayHaveSeveralProcesses reports whether an application of a type may have more than one process. Where one takes any
// number of requests, there are as many as are kept at all times.
func (c *Config) mayHaveSeveralProcesses(appType string) bool {
	if c.MaxPoolSize == 1 || c.MaxInstances == 1 {
		return false
	}

	limited := c.ForceMaxConcurrency > 0 || c.ForceMaxConcurrency < 0 && (appType == "rack" || appType == "wsgi")

	return limited || c.MinInstances > 1
}

// unlimitedPaths returns the configured paths, or else those of WebSockets and streams that the application's framework
// is known to use, where a process takes a limited number of requests, so that each of these would occupy a place.
func (c *Config) unlimitedPaths(log logr.Logger) []string {
	streams := spawner.DetectStreams(c.options().App)
	if streams.Separate != "" && c.mayHaveSeveralProcesses(streams.Type) {
		log.Info("messages over WebSockets reach only the clients of the process that sends them, and there may be "+
			"several processes: let messages go by Redis or the like, or set max_pool_size to 1",
			"app", c.Dir, "because", streams.Separate)
	}

	if configured := c.configuredPaths(); configured != nil || c.ForceMaxConcurrency == 0 {
		return configured
	}

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
