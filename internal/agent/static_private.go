package agent

import (
	"path/filepath"
	"slices"
	"strings"
)

// privateFiles are the paths of files that this server is configured with, and that stand where files are public, as
// they do where the application's own directory is public. They may have secrets. Nil means that there are none.
type privateFiles map[string]struct{}

// privateFiles returns those below a directory.
func (c *Config) privateFiles(public string) privateFiles {
	files := []string{
		filepath.Join(c.Dir, "Passengerfile.json"), filepath.Join(c.Dir, "passenger-standalone.json"),
		c.LogFile, c.AppLogFile, c.AccessLog, c.TransactionLog, c.PIDFile, c.SSLKey, c.DashboardPasswordFile,
	}

	var private privateFiles

	for _, file := range slices.Concat(files, c.EnvFiles) {
		file = strings.TrimPrefix(file, "-") // of one that may be missing
		if file == "" {
			continue
		}

		if !filepath.IsAbs(file) {
			file = filepath.Join(c.Dir, file)
		}

		if rel, err := filepath.Rel(public, file); err != nil || !filepath.IsLocal(rel) {
			continue
		}

		if private == nil {
			private = privateFiles{}
		}

		private[filepath.Clean(file)] = struct{}{}
	}

	return private
}

// without returns the names that are none of the files, in a directory as it was named in the configuration.
func (p privateFiles) without(dir string, names []string) []string {
	if p == nil {
		return names
	}

	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, private := p[filepath.Join(dir, name)]
		return private
	})
}
