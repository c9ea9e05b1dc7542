package instancedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gopassenger/passenger/internal/printable"
)

// The structure of the directories that Create makes: that of Passenger 6.
const (
	majorVersion = 4
	minorVersion = 0
	// oldestMajorVersion is that of Passenger 5, which has all that we read.
	oldestMajorVersion = 3
)

// Limits of what is read.
const (
	maxProperties = 32 << 10
	maxText       = 256
	maxName       = 64
	// maxPath and maxPaths are of AppRoots and Addresses, all of which may have no
	// more than maxPathBytes.
	maxPath      = 4096
	maxPaths     = 64
	maxPathBytes = 16 << 10
)

// Properties are what an instance says of itself in properties.json.
type Properties struct {
	InstanceDir      Structure `json:"instance_dir"`
	PassengerVersion string    `json:"passenger_version"`
	// WatchdogPID is a number for people to look at: what process has it is
	// known to the system only.
	WatchdogPID int `json:"watchdog_pid"`
	// CorePID is that of core.pid; zero means that there is none. As WatchdogPID,
	// it is for people.
	CorePID int    `json:"core_pid,omitempty"`
	Name    string `json:"name"`
	// InstanceID is as Name, but of more letters.
	InstanceID      string `json:"instance_id,omitempty"`
	IntegrationMode string `json:"integration_mode"`
	ServerSoftware  string `json:"server_software"`
	// StandaloneEngine is empty for other integration modes.
	StandaloneEngine string `json:"standalone_engine,omitempty"`
	// AppRoots are the directories of the applications that it is configured for, and
	// Addresses where it listens, for people; empty means that it does not tell. The
	// original does not have them.
	AppRoots  []string `json:"app_roots,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
}

// Structure is what the instance directory itself is like.
type Structure struct {
	MajorVersion int `json:"major_version"`
	MinorVersion int `json:"minor_version"`
	// CreatedAt is in seconds since 1970.
	CreatedAt int64 `json:"created_at"`
	// CreatedAtMonotonic is in microseconds of the system's monotonic clock.
	CreatedAtMonotonic int64 `json:"created_at_monotonic_usec,omitempty"`
	// Path is where the directory was found. The file does not have it.
	Path string `json:"path,omitempty"`
}

// Created returns when the directory was made.
func (s Structure) Created() time.Time { return time.Unix(s.CreatedAt, 0) }

// errUnsupported means that another version has written it.
var errUnsupported = errors.New("unsupported structure of the instance directory")

// parseProperties reads what a hostile user may have written.
func parseProperties(content []byte) (Properties, error) {
	var p Properties
	if len(content) > maxProperties {
		return p, fmt.Errorf("%s has more than %d bytes", propertiesName, maxProperties)
	}

	// The version first: other fields may mean something else in others.
	var version struct {
		Dir Structure `json:"instance_dir"`
	}
	if err := json.Unmarshal(content, &version); err != nil {
		return p, fmt.Errorf("%s: %w", propertiesName, err)
	}

	if v := version.Dir; v.MajorVersion < oldestMajorVersion || v.MajorVersion > majorVersion || v.MinorVersion < 0 {
		return p, fmt.Errorf("%w: version %d.%d: use the tools of the version that runs", errUnsupported,
			v.MajorVersion, v.MinorVersion)
	}

	if err := json.Unmarshal(content, &p); err != nil {
		return p, fmt.Errorf("%s: %w", propertiesName, err)
	}

	// These are not for it to say.
	p.InstanceDir.Path, p.CorePID = "", 0
	p.AppRoots, p.Addresses = shown(p.AppRoots), shown(p.Addresses)
	if err := p.validate(); err != nil {
		return p, fmt.Errorf("%s: %w", propertiesName, err)
	}

	return p, nil
}

func (p *Properties) validate() error {
	errs := []error{validateName(p.Name)}
	if p.WatchdogPID <= 0 {
		errs = append(errs, fmt.Errorf("watchdog_pid %d is not a process id", p.WatchdogPID))
	}

	for _, field := range []struct{ name, value string }{
		{"passenger_version", p.PassengerVersion},
		{"instance_id", p.InstanceID},
		{"integration_mode", p.IntegrationMode},
		{"server_software", p.ServerSoftware},
		{"standalone_engine", p.StandaloneEngine},
	} {
		errs = append(errs, validateText(field.name, field.value))
	}

	return errors.Join(errs...)
}

func validateName(name string) error {
	strange := func(c rune) bool {
		return !strings.ContainsRune("_-.", c) && (c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c))
	}
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, strange) {
		return fmt.Errorf("name %.80q must be 1 to %d letters, digits, '_', '-' or '.'", name, maxName)
	}

	return nil
}

// validateText refuses what could do something to a terminal or a log.
func validateText(field, value string) error {
	switch {
	case len(value) > maxText:
		return fmt.Errorf("%s has %d bytes, and may have %d", field, len(value), maxText)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, printable.Not):
		return fmt.Errorf("%s %q has characters that cannot be printed", field, value)
	}

	return nil
}

// shown returns those paths that can be shown, as far as there is room. They are no
// reason to refuse an instance.
func shown(paths []string) (all []string) {
	// AppRoots and Addresses have half of it each.
	room := maxPathBytes / 2
	for _, path := range paths {
		legible := utf8.ValidString(path) && !strings.ContainsFunc(path, printable.Not)
		if path == "" || !legible || len(path) > min(maxPath, room) || len(all) == maxPaths {
			continue
		}

		room -= len(path)
		all = append(all, path)
	}

	return all
}
