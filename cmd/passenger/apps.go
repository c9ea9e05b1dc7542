package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

const (
	// appsKey is that of several applications, a list of objects.
	appsKey = "apps"
	// The keys of each of these that are not options.
	appDirKey   = "dir"
	appHostsKey = "hosts"
	appPathKey  = "path"
)

// hostedApp is an application as a file has it.
type hostedApp struct {
	dir, path string
	hosts     []string
	values    layer
}

// parseApps reads the list of applications in a file.
func (l *loader) parseApps(raw any, file string) ([]hostedApp, error) {
	list, ok := raw.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: %s must be a list of objects", file, appsKey)
	}

	apps := make([]hostedApp, 0, len(list))

	var errs []error
	for i, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: number %d of %s must be an object", file, i+1, appsKey))
			continue
		}

		app, err := l.parseApp(object, file)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: number %d of %s: %w", file, i+1, appsKey, err))
		}

		apps = append(apps, app)
	}

	return apps, errors.Join(errs...)
}

func (l *loader) parseApp(object map[string]any, file string) (app hostedApp, err error) {
	app.values = layer{}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch key {
		case appDirKey:
			dir, ok := object[key].(string)
			if !ok || dir == "" {
				return app, errors.New("dir must be the application's directory")
			}

			// As all paths in a file, it is relative to the directory of the file.
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(filepath.Dir(file), dir)
			}

			app.dir = filepath.Clean(dir)
		case appHostsKey:
			hosts := options.Option{Key: appHostsKey, Kind: options.List}
			list, err := hosts.Convert(object[key], "")
			if err != nil {
				return app, err
			}

			// It is what a list is converted to.
			app.hosts, _ = list.([]string)
		case appPathKey:
			var ok bool
			if app.path, ok = object[key].(string); !ok {
				return app, errors.New("path must be a text, as /blog")
			}
		default:
			o := findOption(l.scope, key)
			switch {
			case o == nil:
				return app, fmt.Errorf("there is no option %q%s", key, didYouMean(l.scope, key))
			case !o.In(options.App):
				return app, fmt.Errorf("%s is the server's, and cannot be one application's: write it beside %s", key,
					appsKey)
			}

			value, err := o.Convert(object[key], filepath.Dir(file))
			if err != nil {
				return app, err
			}

			app.values[o.Key] = agent.Setting{Value: value, Source: file}
		}
	}

	if app.dir == "" {
		return app, errors.New("dir is missing, which is the application's directory")
	}

	return app, app.values.resolve("its object")
}

// configure returns an application's configuration: what the file says of it, and
// its own Passengerfile.json, count more than what the file says of all.
func (l *loader) configure(app *hostedApp) (agent.HostedApp, error) {
	own := *l
	own.dir, own.nested = app.dir, true
	values, err := merge(l.defaults, l.homeFile, l.appFile, own.appFile,
		func() (layer, error) { return app.values, nil }, l.environment, l.commandLine)
	if err != nil {
		return agent.HostedApp{}, err
	}

	cfg := agent.DefaultConfig()
	cfg.Apply(values)
	cfg.Dir, cfg.BaseURI = app.dir, app.path
	if cfg.HealthHost == "" && len(app.hosts) > 0 {
		// The application may refuse requests for other hosts.
		cfg.HealthHost = agent.HealthHost(app.hosts)
	}

	return agent.HostedApp{Hosts: app.hosts, BaseURI: app.path, Config: &cfg}, nil
}
