package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/ownfile"
)

// loader puts the configuration together: each layer counts more than those
// before it.
type loader struct {
	// options are those that there are.
	options []option
	// cwd is what relative paths of the environment and the command line are below,
	// as it was at the beginning.
	dir, cwd string
	home     *homeFile
	flags    *pflag.FlagSet
	getenv   func(string) string
	warn     func(string)
	// loaded: it has done so before.
	loaded bool
	// apps are several applications that a file names. nested: the file is one of
	// theirs, and names none.
	apps   []hostedApp
	nested bool
	// hookFiles are the files that name programs to run for events.
	hookFiles map[string]bool
	// warnedOfRoot: checkRoot has given its warnings.
	warnedOfRoot bool
}

// newLoader is to be called before this program changes its directory, or who it runs
// as.
func newLoader(cmd *cobra.Command, options []option) *loader {
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "" // it was removed; a server that is told all paths does not need it
	}

	return &loader{
		hookFiles: map[string]bool{},
		options:   options,
		cwd:       cwd,
		home:      newHomeFile(os.Getenv("HOME")),
		flags:     cmd.Flags(),
		getenv:    os.Getenv,
		warn: func(s string) {
			fmt.Fprintf(cmd.ErrOrStderr(), "passenger: warning: %s\n", s)
		},
	}
}

// loadConfig returns the configuration of the application in the directory that
// args name, the current one by default.
func loadConfig(cmd *cobra.Command, args []string) (agent.Config, error) {
	return newLoader(cmd, startOptions).load(args)
}

// load may be called again, when the files may have changed.
func (l *loader) load(args []string) (agent.Config, error) {
	l.dir = filepath.Clean(strings.Join(args, ""))
	if !filepath.IsAbs(l.dir) {
		if l.cwd == "" {
			return agent.Config{}, fmt.Errorf("cannot find the application's directory %q: the working directory "+
				"does not exist "+
				"any more: name the directory by an absolute path, or change into one that exists", l.dir)
		}

		l.dir = filepath.Join(l.cwd, l.dir)
		l.warnOfRelease()
	}

	l.apps = nil
	clear(l.hookFiles)
	k, err := l.merge(l.defaults, l.homeFile, l.appFile, l.environment, l.commandLine)
	if err != nil {
		return agent.Config{}, err
	}

	cfg := agent.DefaultConfig()
	cfg.Dir = l.dir
	if err := k.Unmarshal("", &cfg); err != nil {
		return agent.Config{}, err
	}

	if l.apps != nil {
		cfg.Apps = []agent.HostedApp{}
	}

	for i := range l.apps {
		app, err := quiet(*l).configure(&l.apps[i])
		if err != nil {
			return agent.Config{}, err
		}

		cfg.Apps = append(cfg.Apps, app)
	}

	l.loaded = true

	return cfg, nil
}

// quiet returns a loader that gives no warnings: they were given before.
func quiet(l loader) *loader {
	l.warn = func(string) {}
	return &l
}

// merge puts layers together.
func (l *loader) merge(layers ...func() (map[string]any, error)) (*koanf.Koanf, error) {
	k := koanf.New("\x00") // no delimiter: keys are flat
	for _, layer := range layers {
		values, err := layer()
		if err != nil {
			return nil, err
		}

		if _, address := values["address"]; address || values["port"] != nil {
			k.Delete("socket_file") // of an earlier layer
		}

		if err := k.Load(confmap.Provider(values, ""), nil); err != nil {
			return nil, err
		}
	}

	return k, nil
}

func (l *loader) defaults() (map[string]any, error) {
	environment := "development"
	for _, name := range []string{"PASSENGER_APP_ENV", "NODE_ENV", "RACK_ENV", "RAILS_ENV"} {
		if v := l.getenv(name); v != "" {
			environment = v
		}
	}

	return map[string]any{"environment": environment}, nil
}

// homeFile is the configuration of the user who has started this program.
type homeFile struct {
	dir, path string
	// content is what was in it when it could be read; nil: there was none.
	content []byte
}

func newHomeFile(home string) *homeFile {
	if home == "" {
		return &homeFile{}
	}

	return &homeFile{dir: home, path: filepath.Join(home, ".passenger", "standalone", "config.json")}
}

func (l *loader) homeFile() (map[string]any, error) {
	if l.home.path == "" {
		return nil, nil
	}

	content, err := readConfig(l.home.path)
	switch {
	case err == nil:
		l.home.content = content
	case !l.loaded:
		// HOME may be that of another user, as with su and in containers.
		l.warn(fmt.Sprintf("%v: the user's own configuration is ignored; HOME is %s", err, l.home.dir))
	} // else this program may have become another user since, and what was in it counts

	return l.parse(l.home.content, l.home.path)
}

func (l *loader) appFile() (map[string]any, error) {
	values, err := l.file(filepath.Join(l.dir, "Passengerfile.json"))
	if values != nil || err != nil {
		return values, err
	}

	return l.file(filepath.Join(l.dir, "passenger-standalone.json"))
}

const maxConfigFile = 1 << 20

// file reads a configuration file; one that does not exist is nil.
func (l *loader) file(path string) (map[string]any, error) {
	content, err := readConfig(path)
	if err != nil {
		return nil, err
	}

	return l.parse(content, path)
}

// readConfig returns nil for a file that does not exist.
func readConfig(path string) ([]byte, error) {
	b, err := ownfile.ReadRegular(path, maxConfigFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}

	return b, nil
}

// parse returns nil for what is nil.
func (l *loader) parse(b []byte, path string) (_ map[string]any, err error) {
	if b == nil {
		return nil, nil
	}

	var raw map[string]any
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("%s%s is not valid: %w: correct it, or check it with a JSON linter", path,
			position(b, err), err)
	}

	values := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		if key == appsKey && !l.nested {
			if l.apps, err = l.parseApps(raw[key], path); err != nil {
				return nil, err
			}

			continue
		}

		o, ok := findOption(l.options, key)
		if foreign, known := findOption(foreignOptions, key); !ok && known {
			l.ignore(&foreign, path)
			continue
		}

		if !ok {
			l.warn(fmt.Sprintf("unknown option %q in %s is ignored", key, path))
			continue
		}

		v, err := o.convert(raw[key], filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}

		values[o.key] = v
		if o.kind == kindHooks {
			l.hookFiles[path] = true
		}
	}

	return values, settle(values, path)
}

// position says where a syntax error is.
func position(b []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return ""
	}

	return fmt.Sprintf(", line %d,", 1+strings.Count(string(b[:min(int(syntax.Offset), len(b))]), "\n"))
}

// structured are the kinds that a variable of the environment cannot have.
var structured = []kind{kindMap, kindList, kindPaths, kindPathMap}

func (l *loader) environment() (map[string]any, error) {
	values := map[string]any{}
	for _, o := range l.options {
		for _, key := range append([]string{o.key}, o.aliases...) {
			name := "PASSENGER_" + strings.ToUpper(key)
			s := l.getenv(name)
			if s == "" || slices.Contains(structured, o.kind) {
				continue
			}

			v, err := o.convert(s, l.cwd)
			if err != nil {
				return nil, fmt.Errorf("the environment variable %s: %w", name, err)
			}

			values[o.key] = v
		}
	}

	return values, settle(values, "the environment")
}

func (l *loader) commandLine() (map[string]any, error) {
	values := map[string]any{}
	for _, o := range l.options {
		raw, err := o.given(l.flags)
		if err != nil {
			return nil, err
		}

		if raw == nil {
			continue
		}

		v, err := o.convert(raw, l.cwd)
		if err != nil {
			return nil, fmt.Errorf("the option --%s: %w", o.flag, err)
		}

		values[o.key] = v
	}

	for _, o := range foreignOptions {
		if f := l.flags.Lookup(o.flag); f != nil && f.Changed {
			l.ignore(&o, "the command line")
		}
	}

	return values, settle(values, "the command line")
}

// settle finds contradictions in a layer, and says in terms of other options what
// short ones stand for.
func settle(values map[string]any, where string) error {
	both := func(a, b, what string) error {
		if values[a] == nil || values[b] == nil {
			return nil
		}

		return fmt.Errorf("%s are both given in %s: use one or the other", what, where)
	}

	err := errors.Join(
		both("socket_file", "address", "a socket file and an address"),
		both("socket_file", "port", "a socket file and a port"),
		both("rackup", "startup_file", "rackup and startup_file"),
		both("rackup", "start_command", "rackup and start_command"),
	)
	for off, on := range opposites {
		err = errors.Join(err, both(off, on, off+" and "+on))
	}

	if kind, file := values["app_type"], values["rackup"]; file != nil && kind != nil && kind != "rack" {
		err = errors.Join(err, fmt.Errorf("rackup is for applications of Ruby, and app_type is %v in %s: leave one "+
			"of them out", kind, where))
	}

	if file, ok := values["rackup"]; ok {
		values["startup_file"], values["app_type"] = file, "rack" // which counts more than a command
		delete(values, "rackup")
	}

	for off, on := range opposites {
		if isOff, ok := values[off].(bool); ok {
			o, _ := findOption(startOptions, on)
			values[on], _ = o.convert(!isOff, "") // which it can be
			delete(values, off)
		}
	}

	return err
}

// opposites are options that are others the other way round.
var opposites = map[string]string{
	"disable_turbocaching":                    "turbocaching",
	"no_friendly_error_pages":                 "friendly_error_pages",
	"no_abort_websockets_on_process_shutdown": "abort_websockets_on_process_shutdown",
}
