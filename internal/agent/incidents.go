package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/incident"
)

// incidentDirName is the directory of incidents in the instance directory.
const incidentDirName = "incidents"

// newRecorder returns what keeps incidents; nil means that none are kept.
func (c *Config) newRecorder(instanceDir string, log logr.Logger) (*incident.Recorder, error) {
	if !c.Incidents {
		return nil, nil //nolint:nilnil // none are wanted
	}

	dir := c.IncidentDir
	if dir == "" {
		dir = filepath.Join(instanceDir, incidentDirName)
		// A core before this one may have made it.
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}

	store, err := incident.Open(dir)
	if err != nil {
		return nil, err
	}

	return incident.NewRecorder(store, log), nil
}

// validateIncidents finds out now what incidents could not be kept for.
func (c *Config) validateIncidents() error {
	if c.IncidentDir == "" {
		return nil
	}

	if _, err := incident.Open(c.IncidentDir); err != nil {
		return err
	}

	if err := checkWritable(c.IncidentDir); err != nil {
		return withOption(err, "--incident-dir")
	}

	return nil
}
