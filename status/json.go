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
	apps := make(map[string]*application, len(s.Groups))
	for i := range s.Groups {
		g := &s.Groups[i]

		// A detached application may still end while its successor of the same name serves.
		if taken := apps[g.Name]; taken == nil || taken.Detached {
			apps[g.Name] = &application{
				options:       newOptions(g),
				GroupSnapshot: g,
				Environment:   text(g.Environment, spawner.DefaultEnvironment),
			}
		}
	}

	for _, c := range companions {
		// The application may have left the pool, and its companions may not have ended yet.
		if app := apps[c.App]; app != nil {
			app.Companions = append(app.Companions, c)
		}
	}

	b, err := json.Marshal(apps)
	if err != nil {
		return err
	}

	_, err = w.Write(b)

	return err
}

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

// application is what is written of one: its options, and the fields of GroupSnapshot, so that a new one of these needs
// nothing here.
type application struct {
	options
	*passenger.GroupSnapshot

	// These are among the options. In JSON they hide the fields of GroupSnapshot, and are left out.
	Name         *none `json:"name,omitempty"`
	AppRoot      *none `json:"appRoot,omitempty"`
	AppType      *none `json:"appType,omitempty"`
	MinProcesses *none `json:"minProcesses,omitempty"`
	MaxProcesses *none `json:"maxProcesses,omitempty"`

	// Environment is that option, and hides the field of the same name.
	Environment []sourced   `json:"environment"`
	Companions  []Companion `json:"companions,omitempty"`
}

type none struct{}

// options are the values of options by the original's names. Environment variables, which may be secret, are left out.
type options struct {
	Name              []sourced `json:"app_group_name"`
	Root              []sourced `json:"app_root"`
	Type              []sourced `json:"type"`
	BaseURI           []sourced `json:"base_uri"`
	StartupFile       []sourced `json:"startup_file"`
	StartCommand      []sourced `json:"start_command"`
	User              []sourced `json:"user"`
	Group             []sourced `json:"group"`
	RestartDir        []sourced `json:"restart_dir"`
	Ruby              []sourced `json:"ruby"`
	Python            []sourced `json:"python"`
	NodeJS            []sourced `json:"nodejs"`
	MeteorSettings    []sourced `json:"meteor_app_settings"`
	SpawnMethod       []sourced `json:"spawn_method"`
	BindAddress       []sourced `json:"bind_address"`
	Enabled           []sourced `json:"enabled"`
	PreloadBundler    []sourced `json:"preload_bundler"`
	EnvVars           []sourced `json:"environment_variables"`
	LoadShellEnv      []sourced `json:"load_shell_envvars"`
	StartTimeout      []sourced `json:"start_timeout"`
	FileLimit         []sourced `json:"file_descriptor_ulimit"`
	Min               []sourced `json:"min_processes"`
	Max               []sourced `json:"max_processes"`
	MaxRequests       []sourced `json:"max_requests"`
	MaxOutOfBandWork  []sourced `json:"max_out_of_band_work_instances"`
	MaxQueue          []sourced `json:"max_request_queue_size"`
	PreloaderIdleTime []sourced `json:"max_preloader_idle_time"`
	ForcedConcurrency []sourced `json:"force_max_concurrent_requests_per_process"`
	AbortLongSessions []sourced `json:"abort_websockets_on_process_shutdown"`
}

func newOptions(g *passenger.GroupSnapshot) options {
	o := &g.Options
	app := &o.App
	// The original writes an absolute path.
	startupFile := app.StartupFile
	if startupFile != "" && !filepath.IsAbs(startupFile) {
		startupFile = filepath.Join(g.AppRoot, startupFile)
	}

	return options{
		Name:           text(g.Name, ""),
		Root:           text(g.AppRoot, ""),
		Type:           text(g.AppType, ""),
		BaseURI:        text(app.BaseURI, "/"),
		StartupFile:    text(startupFile, ""),
		StartCommand:   text(strings.Join(app.StartCommand, "\t"), ""),
		User:           text(app.User, ""),
		Group:          text(app.Group, ""),
		RestartDir:     text(o.RestartDir, ""),
		Ruby:           text(app.Ruby, spawner.DefaultRuby),
		Python:         text(app.Python, spawner.DefaultPython),
		NodeJS:         text(app.NodeJS, spawner.DefaultNodeJS),
		MeteorSettings: text(app.MeteorSettings, ""),
		SpawnMethod:    text(app.SpawnMethod, spawner.SmartSpawning),
		BindAddress:    text("", "127.0.0.1"),
		Enabled:        []sourced{{ephemeral, true}, {byDefault, false}},
		PreloadBundler: []sourced{{byDefault, true}},
		EnvVars:        []sourced{{byDefault, none{}}},
		LoadShellEnv:   []sourced{{ephemeral, app.LoadShellEnv}},

		StartTimeout:      number(app.StartTimeout.Seconds(), spawner.DefaultStartTimeout.Seconds()),
		FileLimit:         number(app.FileLimit, 0),
		Min:               number(g.MinProcesses, 0),
		Max:               number(g.MaxProcesses, 0),
		MaxRequests:       number(o.MaxRequests, 0),
		MaxOutOfBandWork:  number(o.MaxOutOfBandWorkInstances, 1),
		MaxQueue:          limit(o.MaxRequestQueueSize, passenger.DefaultMaxRequestQueueSize),
		PreloaderIdleTime: limit(seconds(o.MaxPreloaderIdleTime), seconds(passenger.DefaultMaxPreloaderIdleTime)),
		ForcedConcurrency: limit(o.ForceMaxConcurrentRequestsPerProcess, -1),
		AbortLongSessions: []sourced{{ephemeral, !o.KeepLongSessions}},
	}
}

// seconds is Unlimited for any negative duration.
func seconds(d time.Duration) int {
	if d < 0 {
		return passenger.Unlimited
	}

	return int(d / time.Second)
}
