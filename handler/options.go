package handler

import (
	"slices"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/urlpath"
)

// options are those of the application, or of its processes for requests that
// last, with the process that the client wants to come back to.
func (x *exchange) options() *passenger.Options {
	options := &x.h.cfg.Options
	if x.h.unlimited != nil && x.h.unlimitedPath(x.target.path) {
		options = x.h.unlimited
	}

	if x.h.sticky == nil {
		return options
	}

	wanted := x.h.sticky.wanted(x.r.Header)
	if wanted == 0 {
		return options
	}

	own := *options
	own.StickySessionID = wanted

	return &own
}

// unlimitedOptions are those of the processes for UnlimitedConcurrencyPaths;
// nil: there are no such paths.
func unlimitedOptions(cfg *Config) *passenger.Options {
	if len(cfg.UnlimitedConcurrencyPaths) == 0 {
		return nil
	}

	options := cfg.Options
	options.App.GroupName = options.App.Name() + UnlimitedGroupSuffix
	options.ForceMaxConcurrentRequestsPerProcess = passenger.Unlimited

	// They last, and nobody is to be killed for it.
	options.MaxRequestTime = 0

	return &options
}

func (h *Handler) unlimitedPath(path string) bool {
	return slices.ContainsFunc(h.unlimitedPaths, func(prefix urlpath.Base) bool {
		_, below := prefix.Cut(path)
		return below
	})
}
