package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

// loadFile returns what start has of a Passengerfile.json with this text, and of arguments.
func loadFile(t *testing.T, text string, args ...string) (agent.Config, error) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Passengerfile.json"), []byte(text), 0o600))

	cmd := newStartCommand(nil)
	require.NoError(t, cmd.ParseFlags(args))

	return newLoader(cmd, options.Start).load([]string{dir})
}

// A value that no option can have is an error that names the file and the option, and shows the value as the file has
// it. Null is none for any of them.
func TestValuesOfAWrongKindAreNamed(t *testing.T) {
	good := map[options.Kind][]string{
		options.Text: {`""`, `" "`}, options.Path: {`""`, `" "`}, options.Output: {`""`, `" "`},
		options.AbsolutePath: {`""`, `" "`}, options.Bool: {`true`}, options.Switch: {`""`, `true`},
		options.List: {`[]`, `""`, `" "`}, options.Paths: {`[]`, `""`, `" "`}, options.Map: {`{}`},
		options.PathMap: {`{}`}, options.Hooks: {`{}`, `[]`}, options.Float: {`1.5`, `1e300`}, options.Object: {`{}`},
		options.Statuses: {`""`, `" "`, `[]`, `[1]`, `1.5`, `1e300`},
	}
	values := []string{
		`null`, `[]`, `[null]`, `[1]`, `[[]]`, `""`, `" "`, `{}`, `{"a": null}`, `{"a": []}`, `true`, `1.5`, `1e300`,
	}

	for _, o := range agent.OptionsIn(options.Start) {
		for _, value := range values {
			var raw any
			require.NoError(t, json.Unmarshal([]byte(value), &raw))
			_, err := o.Convert(raw, "/srv")

			what := fmt.Sprintf("%s: %s: %v", o.Key, value, err)
			isGood := strings.Contains(" "+strings.Join(good[o.Kind], " ")+" ", " "+value+" ")
			accepted := isGood || value == `" "` && err == nil
			if accepted {
				require.NoError(t, err, what)
				continue
			}

			require.Error(t, err, what)
			require.Contains(t, err.Error(), o.Key, what)
			require.NotContains(t, err.Error(), "<nil>", what)
			require.NotContains(t, err.Error(), "map[", what)
			require.NotContains(t, err.Error(), "no valid JSON", what)

			if value == "null" {
				require.Contains(t, err.Error(), o.Key+" is null: leave it out for its default, or give it ")
			}
		}
	}

	for text, want := range map[string]string{
		`{"environment": null}`:       "environment is null: leave it out for its default, or give it a text",
		`{"start_command": []}`:       "start_command has no program: leave it out, or begin the list with one",
		`{"start_command": [""]}`:     "start_command has no program",
		`{"start_command": ""}`:       "start_command cannot be used: it is empty: leave it out, or write a command",
		`{"port": "http"}`:            `port must be a whole number, not "http"`,
		`{"envvars": {"A": null}}`:    "envvars: the value of A must be a text, not null",
		`{"envvars": ["A=b"]}`:        `envvars must be an object of names and values, as {"NAME": "value"}, not a list`,
		`{"env_files": {"a": 1}}`:     `env_files must be a list of texts, not {"a":1}`,
		`{"env_files": ["a", null]}`:  "env_files must be a list of texts, and null in it is none",
		`{"friendly_error_pages": 2}`: "friendly_error_pages is 2: it must be auto, true or false",
		`{"companions": null}`:        "companions is null",
	} {
		_, err := loadFile(t, text)
		require.ErrorContains(t, err, "Passengerfile.json: "+want, text)
	}
}

// A word for yes or no is the same in a flag as in a file or a variable.
func TestFlagsTakeWordsForBooleans(t *testing.T) {
	for word, want := range map[string]bool{
		"":     true,
		"=on":  true,
		"=Yes": true,
		"=1":   true,
		"=off": false,
		"=no":  false,
	} {
		cfg, err := loadFile(t, `{"sticky_sessions": true}`, "--sticky-sessions"+word)
		require.NoError(t, err)
		require.Equal(t, want, cfg.StickySessions, word)
	}
}

// An environment without a name would be production, which the default is not.
func TestEmptyEnvironmentIsNamed(t *testing.T) {
	cfg, err := loadFile(t, `{"environment": "", "start_command": ["/bin/true"]}`)
	require.NoError(t, err)
	require.ErrorContains(t, cfg.Validate(), "Passengerfile.json: environment is empty: leave it out for its default")
}

// The core keeps them from clients, also where one application has its files around another.
func TestConfigurationNamesItsFiles(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "shop"), 0o755))

	own := []string{filepath.Join(dir, "Passengerfile.json"), filepath.Join(dir, "shop/passenger-standalone.json")}
	require.NoError(t, os.WriteFile(own[0], []byte(`{"apps": [{"dir": "shop"}, {"dir": ".", "path": "/x"}]}`), 0o600))
	require.NoError(t, os.WriteFile(own[1], []byte(`{"max_requests": 7}`), 0o600))

	cfg, err := newLoader(newStartCommand(nil), options.Start).load([]string{dir})
	require.NoError(t, err)
	require.Equal(t, own, cfg.ConfigFiles)
	require.Len(t, cfg.Apps, 2)

	for _, app := range cfg.Apps {
		require.Equal(t, own, app.Config.ConfigFiles)
	}
}

// Beside the directory of one of several applications, they would have no effect.
func TestWhatIsTheServersIsNoOptionOfOneOfSeveralApplications(t *testing.T) {
	for key, value := range map[string]string{
		"port": "8001", "log_file": `"x"`, "transaction_log": `"x"`, "otlp_endpoint": `"http://127.0.0.1:4318"`,
		"transaction_sample_rate": "0.5", "on_start_failure": `"exit"`, "static_cache_size": "0",
	} {
		_, err := loadFile(t, fmt.Sprintf(`{"apps": [{"dir": "shop", %q: %s}]}`, key, value))
		require.ErrorContains(t, err, key+" is the server's, and cannot be one application's: write it beside apps")

		_, err = loadFile(t, fmt.Sprintf(`{%q: %s, "apps": [{"dir": "shop"}]}`, key, value))
		require.NoError(t, err)
	}
}

// What has names is put together by them, and the later place counts more, for each name.
func TestNamedValuesOfSeveralPlacesAreMerged(t *testing.T) {
	const file = `{"envvars": {"A": "file", "B": "file"}, "accel_redirect": {"/a": "a"}, "env_files": ["x"]}`
	cfg, err := loadFile(t, file, "--envvar", "B=flag", "--envvar", "C=", "--env-file", "/y")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "file", "B": "flag", "C": ""}, cfg.EnvVars)
	require.Equal(t, []string{"/y"}, cfg.EnvFiles, "a list is replaced")
	require.Contains(t, cfg.Sources["envvars"], "Passengerfile.json and --envvar")
}

// What people write that is no JSON, or not what they meant, is named.
func TestMistakesInAFileAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{\n// the port\n\"port\": 1}": "line 2, is not valid: invalid character '/' looking for beginning of object key string: JSON has no comments",
		"{\n# the port\n\"port\": 1}":  "line 2, is not valid: invalid character '#' looking for beginning of object key string: JSON has no comments",
		"{\"port\": 1} // the port":    "JSON has no comments",
		"{'port': 1}":                  "line 1, is not valid: invalid character '\\'' looking for beginning of object key string: JSON has texts in double quotes",
		"{\"port\": 1,\n}":             "line 2, is not valid: invalid character '}' looking for beginning of object key string: remove the comma",
		"{\"env_files\": [\"a\", ]}":   "remove the comma behind the last element",
		"\xff\xfe{\x00}\x00":           "write the file as UTF-8, not UTF-16",
		"":                             "line 1, is not valid: unexpected end of JSON input: correct it",
		"{\"port\": 1":                 "line 1, is not valid: unexpected end of JSON input: correct it",
		"{\"port\": 0x10}":             "correct it, or check it with a JSON linter",
		`{"apps": [{"dir": "a", "environmen": "b"}]}`: `there is no option "environmen": did you mean "environment"?`,
	} {
		_, err := loadFile(t, text)
		require.ErrorContains(t, err, want, text)
	}

	for text, want := range map[string][]string{
		"\ufeff{}":                     nil,
		`{"port": 8001, "port": 8002}`: {`"port" is in FILE twice, and the last one counts: remove the others`},
		`{"envvars": {"A": "1", "A": "2", "A": "3"}, "ctls": ["a=b", "a=b"]}`: {`"A" is in FILE twice, and the last one counts: remove the others`},
		`{"max_pol_size": 3}`:  {`unknown option "max_pol_size" in FILE is ignored: did you mean "max_pool_size"?`},
		`{"max-pool-size": 3}`: {`unknown option "max-pool-size" in FILE is ignored: did you mean "max_pool_size"?`},
		`{"PORT": 3}`:          {`unknown option "PORT" in FILE is ignored: did you mean "port"?`},
		// Names of the modules of nginx and Apache, and of other servers.
		`{"passenger_min_instances": 3}`: {`unknown option "passenger_min_instances" in FILE is ignored: ` +
			`did you mean "min_instances"?`},
		`{"PassengerMaxPoolSize": 3}`: {`unknown option "PassengerMaxPoolSize" in FILE is ignored: ` +
			`did you mean "max_pool_size"?`},
		`{"PASSENGER_APP_ENV": "x"}`: {`unknown option "PASSENGER_APP_ENV" in FILE is ignored: ` +
			`did you mean "environment"?`},
		`{"PassengerPreStart": "x"}`: {`unknown option "PassengerPreStart" in FILE is ignored: ` +
			`did you mean "min_instances"?`},
		`{"workers": 3}`: {`unknown option "workers" in FILE is ignored: did you mean "max_pool_size" or ` +
			`"min_instances"?`},
		`{"bind": "x"}`: {`unknown option "bind" in FILE is ignored: did you mean "address", "port" or ` +
			`"socket_file"?`},
		`{"PassengerSecurityUpdateCheckProxy": "x"}`: {`the option security_update_check_proxy in FILE is accepted, ` +
			`but means nothing here: nothing is sent to anybody`},
		`{"threads": 3}`:     {`unknown option "threads" in FILE is ignored: did you mean "thread_count"?`},
		`{"colour": "blue"}`: {`unknown option "colour" in FILE is ignored`},
		`{"x": 1}`:           {`unknown option "x" in FILE is ignored`},
		`{"app": []}`:        {`unknown option "app" in FILE is ignored: did you mean "apps"?`},
	} {
		var warned []string
		path := filepath.Join(t.TempDir(), "Passengerfile.json")
		l := newLoader(newStartCommand(nil), options.Start)
		l.warn = func(text string) { warned = append(warned, strings.ReplaceAll(text, path, "FILE")) }

		_, err := l.parse([]byte(text), path)
		require.NoError(t, err, text)
		require.Equal(t, want, warned, text)
	}
}

// Variables of the environment may have every option, and those that nearly have a name of one are named.
func TestVariablesOfTheEnvironment(t *testing.T) {
	load := func(name, value string) (values layer, warned []string, err error) {
		l := newLoader(newStartCommand(nil), options.Start)
		l.cwd = "/dir"
		l.warn = func(text string) { warned = append(warned, text) }
		l.environ = func() []string { return []string{"HOME=/root", name + "=" + value} }
		l.getenv = func(asked string) string {
			if asked == name {
				return value
			}

			return ""
		}
		values, err = l.environment()

		return values, warned, err
	}

	for _, test := range []struct {
		name, value, key string
		want             any
	}{
		{"PASSENGER_PORT", "81", "port", 81},
		{"PASSENGER_TRUSTED_PROXIES", "10.0.0.0/8  ::1", "trusted_proxies", []string{"10.0.0.0/8", "::1"}},
		{"PASSENGER_TRUSTED_PROXIES", ` ["10.0.0.0/8"]`, "trusted_proxies", []string{"10.0.0.0/8"}},
		{"PASSENGER_ENV_FILES", "a -b /c", "env_files", []string{"/dir/a", "-/dir/b", "/c"}},
		{"PASSENGER_ENVVARS", `{"A": "b c=d", "N": 1}`, "envvars", map[string]string{"A": "b c=d", "N": "1"}},
		{"PASSENGER_ENVVARS", "A=b c\nD=", "envvars", map[string]string{"A": "b c", "D": ""}},
		{"PASSENGER_ACCEL_REDIRECT", "/files=files /b=/c", "accel_redirect", map[string]string{
			"/files": "/dir/files", "/b": "/c",
		}},
		{"PASSENGER_ACCEL_REDIRECT", `{"/files": "files"}`, "accel_redirect", map[string]string{"/files": "/dir/files"}},
		{"PASSENGER_CTLS", "hook_attached_process=/bin/true", "ctls", map[string]string{
			"hook_attached_process": "/bin/true",
		}},
	} {
		values, warned, err := load(test.name, test.value)
		require.NoError(t, err)
		require.Empty(t, warned)
		require.Equal(t, test.want, values[test.key].Value, test.value)
		require.Equal(t, test.name, values[test.key].Source)
	}

	_, _, err := load("PASSENGER_ENVVARS", "secret")
	require.ErrorContains(t, err, "envvars must be NAME=VALUE, several with blanks between, or a JSON object")
	require.NotContains(t, err.Error(), "secret")

	_, _, err = load("PASSENGER_PORT", "tcp://10.0.0.1:3000")
	require.ErrorContains(t, err, "PASSENGER_PORT: port must be a whole number")
	require.ErrorContains(t, err, "set enableServiceLinks to false")

	for name, want := range map[string][]string{
		"PASSENGER_MAX_POL_SIZE": {"the variable PASSENGER_MAX_POL_SIZE is no option and is ignored: did you mean " +
			"PASSENGER_MAX_POOL_SIZE?"},
		"PASSENGER_NGINX_BIN": {"the option nginx_bin in the environment is accepted, but means nothing here: the " +
			"server has no nginx in it, but is one itself"},
		"PASSENGER_SECRET_TOKEN": nil,
		"PASSENGER_APP_ENV":      nil,
		daemonVariable:           nil,
		"PASSENGERS":             nil,
	} {
		values, warned, err := load(name, "x")
		require.NoError(t, err)
		require.Empty(t, values)
		require.Equal(t, want, warned)
	}
}
