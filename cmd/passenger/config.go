package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
	"github.com/gopassenger/passenger/internal/ownfile"
)

// loader puts the configuration together. Each layer overrides those before it.
type loader struct {
	// scope is the command whose options there are.
	scope options.Scope
	// cwd is the working directory at the start, for relative paths of the environment and
	// the command line.
	dir, cwd string
	home     *homeFile
	flags    *pflag.FlagSet
	getenv   func(string) string
	environ  func() []string
	warn     func(string)
	errOut   io.Writer
	// loaded is true after the first load.
	loaded bool
	// apps are several applications that a file names. nested: the file is one of
	// theirs, and names none.
	apps   []hostedApp
	nested bool
	// files are those that have been read, and hookFiles those of them that name programs to run for events.
	files, hookFiles map[string]bool
	// warnedOfRoot is true after the warnings of checkRoot.
	warnedOfRoot bool
}

// newLoader must be called before this program changes its directory or its user.
func newLoader(cmd *cobra.Command, scope options.Scope) *loader {
	cwd, err := os.Getwd()
	if err != nil {
		// It was removed, and absolute paths do not need it.
		cwd = ""
	}

	return &loader{
		files:     map[string]bool{},
		hookFiles: map[string]bool{},
		scope:     scope,
		cwd:       cwd,
		home:      newHomeFile(os.Getenv("HOME")),
		flags:     cmd.Flags(),
		getenv:    os.Getenv,
		environ:   os.Environ,
		errOut:    cmd.ErrOrStderr(),
		warn: func(s string) {
			fmt.Fprintf(cmd.ErrOrStderr(), "passenger: warning: %s\n", s)
		},
	}
}

// loadConfig returns the configuration of the application in the directory that args
// name, by default the current one.
func loadConfig(cmd *cobra.Command, args []string) (agent.Config, error) {
	return newLoader(cmd, options.Start).load(args)
}

// warningAfter returns load with its warnings after it, when it is known whether they are to be records.
func (l *loader) warningAfter(load func() (agent.Config, error)) func() (agent.Config, error) {
	var warnings []string
	l.warn = func(s string) { warnings = append(warnings, s) }

	return func() (agent.Config, error) {
		cfg, err := load()

		for _, s := range warnings {
			if err == nil && cfg.LogsJSON() {
				_, _ = l.errOut.Write(agent.JSONRecord("WARN", s)) // there is nowhere else to tell
				continue
			}

			fmt.Fprintf(l.errOut, "passenger: warning: %s\n", s)
		}

		warnings = nil

		return cfg, err
	}
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

	// The loader is used again for a reload, and the files may name others then.
	l.apps = nil
	clear(l.files)
	clear(l.hookFiles)
	values, err := merge(l.defaults, l.homeFile, l.appFile, l.environment, l.commandLine)
	if err != nil {
		return agent.Config{}, err
	}

	cfg := agent.DefaultConfig()
	cfg.Dir = l.dir
	cfg.Apply(values)
	// An empty list is an error of its own, which Validate reports.
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

	// Those of one application may be where another one has its static files.
	cfg.ConfigFiles = slices.Sorted(maps.Keys(l.files))
	for _, app := range cfg.Apps {
		app.Config.ConfigFiles = cfg.ConfigFiles
	}

	l.loaded = true

	return cfg, nil
}

// quiet returns a loader without warnings, which were given before.
func quiet(l loader) *loader {
	l.warn = func(string) {}
	return &l
}

// layer has what one place says, by the keys of the options.
type layer map[string]agent.Setting

// merge puts layers together.
func merge(layers ...func() (layer, error)) (layer, error) {
	merged := layer{}
	for _, load := range layers {
		values, err := load()
		if err != nil {
			return nil, err
		}

		if values.has("address") || values.has("port") {
			// It is of an earlier layer, and would take the place of the address.
			delete(merged, "socket_file")
		}

		for key, value := range values {
			merged[key] = together(merged[key], value)
		}
	}

	return merged, nil
}

// together returns a later value with the names that an earlier one has beside, as of variables of the environment.
func together(earlier, later agent.Setting) agent.Setting {
	before, had := earlier.Value.(map[string]string)
	after, has := later.Value.(map[string]string)
	if !had || !has || len(before) == 0 {
		return later
	}

	both := maps.Clone(before)
	maps.Copy(both, after)
	later.Value = both

	if earlier.Source != later.Source && earlier.Source != "" {
		later.Source = earlier.Source + " and " + later.Source
	}

	return later
}

func (l layer) has(key string) bool {
	_, ok := l[key]
	return ok
}

func (l *loader) defaults() (layer, error) {
	environment := agent.Setting{Value: "development"}
	for _, name := range []string{"PASSENGER_APP_ENV", "NODE_ENV", "RACK_ENV", "RAILS_ENV"} {
		if v := l.getenv(name); v != "" {
			environment = agent.Setting{Value: v, Source: name}
		}
	}

	return layer{"environment": environment}, nil
}

// homeFile is the configuration of the user who has started this program.
type homeFile struct {
	dir, path string
	// content is what was in it when it could be read; nil means none.
	content []byte
}

func newHomeFile(home string) *homeFile {
	if home == "" {
		return &homeFile{}
	}

	return &homeFile{dir: home, path: filepath.Join(home, ".passenger", "standalone", "config.json")}
}

func (l *loader) homeFile() (layer, error) {
	if l.home.path == "" {
		return nil, nil
	}

	content, err := readConfig(l.home.path)

	// After the first load this program may have become another user, and what was in the file counts.
	switch {
	case err == nil:
		l.home.content = content
	case !l.loaded:
		// HOME may be that of another user, as with su and in containers.
		l.warn(fmt.Sprintf("%v: the user's own configuration is ignored; HOME is %s", err, l.home.dir))
	}

	return l.parse(l.home.content, l.home.path)
}

func (l *loader) appFile() (layer, error) {
	// What is not there is reported when all options are known.
	if info, err := os.Stat(l.dir); err == nil && !info.IsDir() {
		return nil, agent.NotADirectory(l.dir)
	}

	values, err := l.file(filepath.Join(l.dir, "Passengerfile.json"))
	if values != nil || err != nil {
		return values, err
	}

	return l.file(filepath.Join(l.dir, "passenger-standalone.json"))
}

const maxConfigFile = 1 << 20

// file reads a configuration file; one that does not exist is nil.
func (l *loader) file(path string) (layer, error) {
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

// parse returns nil for nil.
func (l *loader) parse(b []byte, path string) (_ layer, err error) {
	if b == nil {
		return nil, nil
	}

	b = bytes.TrimPrefix(b, byteOrderMark)

	var raw map[string]any

	err = json.Unmarshal(b, &raw)
	// The text null is valid JSON, and no object.
	if _, other := errors.AsType[*json.UnmarshalTypeError](err); other || err == nil && raw == nil {
		return nil, fmt.Errorf(`%s is not valid: it must be an object of options, as {"port": 8080}`, path)
	}

	if err != nil {
		return nil, errors.New(path + syntaxError(b, err))
	}

	for _, key := range repeatedKeys(b) {
		l.warn(fmt.Sprintf("%q is in %s twice, and the last one counts: remove the others", key, path))
	}

	l.files[path] = true

	values := layer{}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		if key == appsKey && !l.nested {
			if l.apps, err = l.parseApps(raw[key], path); err != nil {
				return nil, err
			}

			continue
		}

		o := findOption(l.scope, key)
		if o == nil {
			l.ignoreKey(key, path)
			continue
		}

		v, err := o.Convert(raw[key], filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}

		values[o.Key] = agent.Setting{Value: v, Source: path}
		if o.Kind == options.Hooks {
			l.hookFiles[path] = true
		}
	}

	return values, values.resolve(path)
}

// ignoreKey warns of a key in a file that is no option here.
func (l *loader) ignoreKey(key, path string) {
	if !l.ignoreForeign(strings.TrimPrefix(snakeCase(key), "passenger_"), path) {
		l.warn(fmt.Sprintf("unknown option %q in %s is ignored%s", key, path, didYouMean(l.scope, key)))
	}
}

// ignoreForeign warns of an option of the original's that means nothing here, and reports whether key is one.
func (l *loader) ignoreForeign(key, where string) bool {
	i := slices.IndexFunc(foreignOptions, func(o options.Option) bool { return o.Key == key })
	if i < 0 {
		return false
	}

	l.ignore(&foreignOptions[i], where)

	return true
}

func (l *loader) environment() (layer, error) {
	values := layer{}
	known := []string{}

	for _, o := range agent.OptionsIn(l.scope) {
		known = append(known, o.Keys()...)

		for _, key := range o.Keys() {
			name := options.Variable(key)
			s := l.getenv(name)
			if s == "" {
				continue
			}

			v, err := o.ConvertVariable(s, l.cwd)
			if err != nil && strings.HasPrefix(s, "tcp://") {
				err = fmt.Errorf("%w: Kubernetes sets it where a Service is called passenger: set enableServiceLinks "+
					"to false in the pod, or rename the Service", err)
			}

			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}

			values[o.Key] = agent.Setting{Value: v, Source: name}
		}
	}

	l.ignoreVariables(known)

	return values, values.resolve("the environment")
}

// ignoreVariables warns of variables that nearly have the name of an option, or are of the original's. Others may be
// anybody's.
func (l *loader) ignoreVariables(known []string) {
	for _, variable := range l.environ() {
		name, value, _ := strings.Cut(variable, "=")

		key, ours := strings.CutPrefix(name, options.Prefix)

		key = strings.ToLower(key)
		if !ours || value == "" || slices.Contains(known, key) || l.ignoreForeign(key, "the environment") {
			continue
		}

		if best := nearest(key, known); best != "" {
			l.warn(fmt.Sprintf("the variable %s is no option and is ignored: did you mean %s?", name,
				options.Variable(best)))
		}
	}
}

func (l *loader) commandLine() (layer, error) {
	values := layer{}
	for _, o := range agent.OptionsIn(l.scope) {
		raw, err := o.Given(l.flags)
		if err != nil {
			return nil, err
		}

		if raw == nil {
			continue
		}

		source := "--" + o.FlagName()
		v, err := o.Convert(raw, l.cwd)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}

		values[o.Key] = agent.Setting{Value: v, Source: source}
	}

	for i := range foreignOptions {
		if f := l.flags.Lookup(foreignOptions[i].FlagName()); f != nil && f.Changed {
			l.ignore(&foreignOptions[i], "the command line")
		}
	}

	return values, values.resolve("the command line")
}

// resolve finds contradictions in a layer, and sets the options that others stand for.
func (l layer) resolve(where string) error {
	both := func(a, b, what string) error {
		if !l.has(a) || !l.has(b) {
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

	if kind := l["app_type"].Value; l.has("rackup") && kind != nil && kind != "rack" {
		err = errors.Join(err, fmt.Errorf("rackup is for applications of Ruby, and app_type is %v in %s: leave one "+
			"of them out", kind, where))
	}

	// It counts more than a command of an earlier layer.
	if file, ok := l["rackup"]; ok {
		l["startup_file"], l["app_type"] = file, agent.Setting{Value: "rack", Source: file.Source}
		delete(l, "rackup")
	}

	// Of all scopes: a layer has the options of one of them.
	for _, o := range agent.OptionsIn(0) {
		negated, ok := l[o.Key]
		if !ok || o.Opposite == "" {
			continue
		}

		err = errors.Join(err, both(o.Key, o.Opposite, o.Key+" and "+o.Opposite))
		positive, _ := findOption(o.Scopes, o.Opposite).Convert(negated.Value != true, "") // which it can be
		l[o.Opposite] = agent.Setting{Value: positive, Source: negated.Source}
		delete(l, o.Key)
	}

	return err
}
