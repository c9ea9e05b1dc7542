package agent

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/options"
)

// privateFiles are the paths of files and directories that this server is configured with, and that stand where files
// are public, as they do where the application's own directory is public. They may have secrets. Nil means that there
// are none.
type privateFiles map[string]struct{}

// publicOptions name what clients may have, or a directory with it.
var publicOptions = []string{"static_files_dir", "custom_error_page", "sendfile_roots", "passenger_root", "ruby_libdir"}

// privateFiles returns those below a directory, of c and of what is configured beside it.
func (c *Config) privateFiles(public string, beside ...*Config) privateFiles {
	files := c.namedFiles()
	for _, other := range beside {
		files = append(files, other.namedFiles()...)
	}

	var private privateFiles

	for _, file := range files {
		rel, ok := below(public, file)
		if !ok {
			continue
		}

		if private == nil {
			private = privateFiles{}
		}

		private[filepath.Join(public, rel)] = struct{}{}
	}

	return private
}

// namedFiles are the configuration's files, and the files, directories and programs that options name, by absolute
// paths.
func (c *Config) namedFiles() []string {
	files := []string{
		filepath.Join(c.Dir, "Passengerfile.json"), filepath.Join(c.Dir, "passenger-standalone.json"), c.StartupFile,
	}
	files = append(files, c.ConfigFiles...)

	for _, o := range withField(c.scope()) {
		if slices.Contains(publicOptions, o.Key) {
			continue
		}

		switch value := o.Value(c).(type) {
		case string:
			if o.Kind == options.Path || o.Kind == options.AbsolutePath || o.Kind == options.Output {
				files = append(files, value)
			}
		case []string:
			if o.Kind == options.Paths {
				files = append(files, value...)
			}
		case map[string]string:
			if o.Kind == options.Hooks {
				files = append(files, hookPrograms(value)...)
			}
		}
	}

	absolute := make([]string, 0, len(files))
	for _, file := range files {
		file = strings.TrimPrefix(file, "-") // of one that may be missing
		if file == "" {
			continue
		}

		if !filepath.IsAbs(file) {
			file = filepath.Join(c.Dir, file)
		}

		absolute = append(absolute, file)
	}

	return absolute
}

// hookPrograms are those that are named by their paths, and not to be found in PATH.
func hookPrograms(hooks map[string]string) (paths []string) {
	for _, programs := range hooks {
		for program := range strings.SplitSeq(programs, ";") {
			if program = strings.TrimSpace(program); strings.Contains(program, "/") {
				paths = append(paths, program)
			}
		}
	}

	return paths
}

// below returns where a file is below a directory, also where one of them is named by links.
func below(dir, file string) (rel string, ok bool) {
	isBelow := func(dir, file string) bool {
		var err error
		rel, err = filepath.Rel(dir, file)

		return err == nil && rel != "." && filepath.IsLocal(rel)
	}
	if isBelow(dir, file) {
		return rel, true
	}

	// The file itself may come later.
	realDir, dirErr := filepath.EvalSymlinks(dir)
	parent, parentErr := filepath.EvalSymlinks(filepath.Dir(file))

	return rel, dirErr == nil && parentErr == nil && isBelow(realDir, filepath.Join(parent, filepath.Base(file)))
}

// without returns the names that are none of the files, in a directory as it was named in the configuration.
func (p privateFiles) without(dir string, names []string) []string {
	if p == nil {
		return names
	}

	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		for path := filepath.Join(dir, name); len(path) > len(dir); path = filepath.Dir(path) {
			if _, private := p[path]; private {
				return true
			}
		}

		return false
	})
}
