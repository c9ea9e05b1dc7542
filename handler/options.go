package handler

import (
	"slices"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/urlpath"
)

// options returns those of the application, or of its processes for requests that last, with the process that the
// client wants to come back to.
func (r *request) options() *passenger.Options {
	h := r.h

	options := &h.cfg.Options
	if h.isUnlimitedPath(r.target.path) {
		options = h.unlimited
	}

	sticky := r.stickyRoute()
	if sticky == nil {
		return options
	}

	wanted := sticky.wanted(r.header())
	if wanted == 0 {
		return options
	}

	own := *options
	own.StickySessionID = wanted

	return &own
}

// stickyRoute returns that to the processes for the request's path; nil means that there are no sticky sessions.
func (r *request) stickyRoute() *stickyRoute {
	if r.h.isUnlimitedPath(r.target.path) {
		return r.h.unlimitedSticky
	}

	return r.h.sticky
}

// unlimitedOptions returns those of the processes for UnlimitedConcurrencyPaths; nil means that there are no such
// paths.
func unlimitedOptions(cfg *Config) *passenger.Options {
	if len(cfg.UnlimitedConcurrencyPaths) == 0 {
		return nil
	}

	options := cfg.Options
	options.App.GroupName = options.App.Name() + UnlimitedGroupSuffix
	options.ForceMaxConcurrentRequestsPerProcess = passenger.Unlimited

	// These requests last, and no process is killed for it.
	options.MaxRequestTime = 0

	return &options
}

func (h *Handler) isUnlimitedPath(path string) bool { return isBelow(h.unlimitedPaths, path) }

// isBelow reports whether path is below one of the prefixes.
func isBelow(prefixes []urlpath.Base, path string) bool {
	return slices.ContainsFunc(prefixes, func(prefix urlpath.Base) bool {
		_, below := prefix.Cut(path)
		return below
	})
}

func parsePaths(texts []string) (paths []urlpath.Base, err error) {
	for _, text := range texts {
		path, err := urlpath.Parse(text)
		if err != nil {
			return nil, err
		}

		paths = append(paths, path)
	}

	return paths, nil
}
