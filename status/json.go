package status

import (
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
)

// WriteJSON writes the snapshot in the original's form: an object of the applications by their
// names. Each has its options, and each option is a list of values with their sources, the one in
// effect first. Fields of GroupSnapshot that the original does not have stand beside the options.
// Options that the pool does not know are left out. Of several applications with the same name, it
// writes one that has not left the pool. An application that has companions has them beside the options.
func WriteJSON(w io.Writer, s passenger.Snapshot, companions ...Companion) error {
	apps := make(map[string]map[string]any, len(s.Groups))

	// A detached application may still end while its successor of the same name serves.
	leaving := map[string]bool{}
	for i := range s.Groups {
		g := &s.Groups[i]
		if _, taken := apps[g.Name]; taken && !leaving[g.Name] {
			continue
		}

		app, err := manifest(g)
		if err != nil {
			return err
		}

		apps[g.Name], leaving[g.Name] = app, g.Detached
	}

	for _, c := range companions {
		// The application may have left the pool, and its companions may not have ended yet.
		if app := apps[c.App]; app != nil {
			beside, _ := app[companionsKey].([]Companion)
			app[companionsKey] = append(beside, c)
		}
	}

	b, err := json.Marshal(apps)
	if err != nil {
		return err
	}

	_, err = w.Write(b)

	return err
}

// companionsKey is none of the options and of the fields of GroupSnapshot.
const companionsKey = "companions"

// sourced is a value of an option with its source.
type sourced struct {
	Source source `json:"source"`
	Value  any    `json:"value"`
}

type source struct {
	Type string `json:"type"`
}

// The sources of values: what was configured, and the default.
var (
	ephemeral = source{"ephemeral"}
	byDefault = source{"default"}
)

// text returns the values of an option. An empty fallback means that it has no default.
func text(value, fallback string) []sourced {
	switch {
	case value != "" && value != fallback && fallback != "":
		return []sourced{{ephemeral, value}, {byDefault, fallback}}
	case value != "" && fallback == "":
		return []sourced{{ephemeral, value}}
	case fallback != "":
		return []sourced{{byDefault, fallback}}
	}

	return []sourced{}
}

// number is text for numbers, where zero means the fallback.
func number[T int | uint64 | float64](value, fallback T) []sourced {
	if value == 0 || value == fallback {
		return []sourced{{byDefault, fallback}}
	}

	return []sourced{{ephemeral, value}, {byDefault, fallback}}
}

// limit is number for limits, where a negative value means no limit. The original writes that as 0.
func limit(value, fallback int) []sourced {
	if value < 0 {
		return []sourced{{ephemeral, 0}, {byDefault, fallback}}
	}

	return number(value, fallback)
}

// counterparts are fields of GroupSnapshot that the original has among the options.
var counterparts = []string{"name", "appRoot", "appType", "environment", "minProcesses", "maxProcesses"}

func manifest(g *passenger.GroupSnapshot) (map[string]any, error) {
	// By way of JSON, so that a new field of GroupSnapshot needs nothing here.
	own, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}

	var fields map[string]json.RawMessage
	if err := json.Unmarshal(own, &fields); err != nil {
		return nil, err
	}

	for _, name := range counterparts {
		delete(fields, name)
	}

	app := optionValues(g)
	for name, field := range fields {
		app[name] = field
	}

	return app, nil
}

// optionValues leaves out environment variables, which may be secret.
func optionValues(g *passenger.GroupSnapshot) map[string]any {
	o := &g.Options
	app := &o.App
	// The original writes an absolute path.
	startupFile := app.StartupFile
	if startupFile != "" && !filepath.IsAbs(startupFile) {
		startupFile = filepath.Join(g.AppRoot, startupFile)
	}

	return map[string]any{
		"app_group_name":        text(g.Name, ""),
		"app_root":              text(g.AppRoot, ""),
		"type":                  text(g.AppType, ""),
		"environment":           text(g.Environment, spawner.DefaultEnvironment),
		"base_uri":              text(app.BaseURI, "/"),
		"startup_file":          text(startupFile, ""),
		"start_command":         text(strings.Join(app.StartCommand, "\t"), ""),
		"user":                  text(app.User, ""),
		"group":                 text(app.Group, ""),
		"restart_dir":           text(o.RestartDir, ""),
		"ruby":                  text(app.Ruby, spawner.DefaultRuby),
		"python":                text(app.Python, spawner.DefaultPython),
		"nodejs":                text(app.NodeJS, spawner.DefaultNodeJS),
		"meteor_app_settings":   text(app.MeteorSettings, ""),
		"spawn_method":          text(app.SpawnMethod, spawner.SmartSpawning),
		"bind_address":          text("", "127.0.0.1"),
		"enabled":               []sourced{{ephemeral, true}, {byDefault, false}},
		"preload_bundler":       []sourced{{byDefault, true}},
		"environment_variables": []sourced{{byDefault, struct{}{}}},
		"load_shell_envvars":    []sourced{{ephemeral, app.LoadShellEnv}},

		"start_timeout":                  number(app.StartTimeout.Seconds(), spawner.DefaultStartTimeout.Seconds()),
		"file_descriptor_ulimit":         number(app.FileLimit, 0),
		"min_processes":                  number(g.MinProcesses, 0),
		"max_processes":                  number(g.MaxProcesses, 0),
		"max_requests":                   number(o.MaxRequests, 0),
		"max_out_of_band_work_instances": number(o.MaxOutOfBandWorkInstances, 1),
		"max_request_queue_size":         limit(o.MaxRequestQueueSize, passenger.DefaultMaxRequestQueueSize),
		"max_preloader_idle_time": limit(seconds(o.MaxPreloaderIdleTime),
			seconds(passenger.DefaultMaxPreloaderIdleTime)),

		"force_max_concurrent_requests_per_process": limit(o.ForceMaxConcurrentRequestsPerProcess, -1),
		"abort_websockets_on_process_shutdown":      []sourced{{ephemeral, !o.KeepLongSessions}},
	}
}

// seconds is Unlimited for any negative duration.
func seconds(d time.Duration) int {
	if d < 0 {
		return passenger.Unlimited
	}

	return int(d / time.Second)
}
