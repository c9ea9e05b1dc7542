package agent

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/options"
)

// newAppConfig is the configuration of one application of many: the server's, with what the web
// server says of this one. It reports every fault of params, joined, and does not look at the file
// system.
func newAppConfig(server *Config, params []appOption) (*Config, error) {
	c := *server

	// Options of the request set its fields, too.
	flying := *server.Flying
	c.Flying = &flying

	var errs []error
	for _, p := range params {
		o := findParam(p.name)
		if o == nil {
			errs = append(errs, fmt.Errorf("there is no option %q", p.name))
			continue
		}

		// Messages have the name that the web server's configuration has.
		named := *o
		named.Key = p.name

		value, err := named.ConvertParam(p.value)
		if err == nil {
			named.set(&c, value)
			err = named.checkIn(&c)
		}

		errs = append(errs, err)
	}

	if c.Dir == "" && c.DocumentRoot != "" {
		c.Dir = filepath.Dir(c.DocumentRoot)
	}

	// An error about an option may be why app_root has no value.
	if c.Dir == "" && errors.Join(errs...) == nil {
		errs = append(errs, errors.New("app_root is missing"))
	}

	if server.NoNewPrivileges && !c.NoNewPrivileges {
		errs = append(errs, errPrivileges)
	}

	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	if c.BaseURI != "" && !strings.HasPrefix(c.BaseURI, "/") {
		return nil, fmt.Errorf("base_uri is %q: it must begin with a slash", c.BaseURI)
	}

	c.BaseURI = strings.TrimRight(c.BaseURI, "/")
	app := c.options().App

	return &c, errors.Join(c.Validate(), app.Validate())
}

// findParam returns the option that a web server's parameter sets; nil means none.
func findParam(name string) *Option {
	for _, o := range OptionsIn(options.Request) {
		if slices.Contains(o.ParamNames(), name) {
			return o
		}
	}

	return nil
}
