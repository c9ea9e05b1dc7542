package agent

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/options"
)

// privateFiles are the paths of files and directories that this server is configured with, and that stand where files
// are public, as they do where the application's own directory is public. They may have secrets. Nil means that there
// are none. The value is true for a log, beside which there are older ones.
type privateFiles map[string]bool

// publicOptions name what clients may have, or a directory with it.
var publicOptions = []string{"static_files_dir", "custom_error_page", "sendfile_roots", "passenger_root", "ruby_libdir"}

// privateFiles returns those below a directory, of c and of what is configured beside it.
func (c *Config) privateFiles(public string, beside ...*Config) privateFiles {
	var private privateFiles

	for _, one := range append([]*Config{c}, beside...) {
		logs := one.absolute([]string{one.LogFile, one.AppLogFile, one.AccessLog, one.TransactionLog})

		for _, file := range one.namedFiles() {
			rel, ok := below(public, file)
			if !ok {
				continue
			}

			if private == nil {
				private = privateFiles{}
			}

			path := filepath.Join(public, rel)
			private[path] = private[path] || slices.Contains(logs, file)
		}
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

	return c.absolute(files)
}

// absolute returns the files that are named.
func (c *Config) absolute(files []string) []string {
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
			if _, private := p[path]; private || p.isOldLog(path) {
				return true
			}
		}

		return false
	})
}

// isOldLog reports whether a file is what logrotate and the like have made of a log.
func (p privateFiles) isOldLog(path string) bool {
	dir, name := filepath.Split(path)
	for log, isLog := range p {
		if of, logName := filepath.Split(log); isLog && of == dir && isOldName(name, logName) {
			return true
		}
	}

	return false
}

// isOldName reports whether a name is that of an older log: of server.log, they are server.log.1, server.log.1.gz,
// server.log-20261201, server-20261201.log, server.log.old and the like.
func isOldName(name, log string) bool {
	numbered := func(rest string) bool {
		return len(rest) > 1 && strings.IndexByte(".-_", rest[0]) >= 0 && rest[1] >= '0' && rest[1] <= '9'
	}

	if rest, ok := strings.CutPrefix(name, log); ok {
		return numbered(rest) || slices.Contains([]string{".gz", ".bz2", ".xz", ".zst", ".old", ".bak", "~"}, rest)
	}

	ext := filepath.Ext(log)
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(log, ext))

	return ok && ext != "" && numbered(rest) && strings.Contains(rest, ext)
}

// hides reports whether a name in a directory of files leads to a private one there by links. named is the directory as
// it was configured, and public where it is in a release.
func (p privateFiles) hides(named, public, name string) bool {
	if p == nil {
		return false
	}

	dir, dirErr := filepath.EvalSymlinks(public)
	file, fileErr := filepath.EvalSymlinks(joined(public, name))
	if dirErr != nil || fileErr != nil {
		return false // it cannot be opened
	}

	rel, err := filepath.Rel(dir, file)

	return err == nil && filepath.IsLocal(rel) && len(p.without(named, []string{rel})) == 0
}

// isOneOf reports whether an opened file is a private one, whatever the name by which it was opened.
func (p privateFiles) isOneOf(f *openedFile) bool {
	if p == nil || !hasOtherNames(f) {
		return false
	}

	info, err := f.Stat()
	if err != nil {
		return false
	}

	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}

	for path := range p {
		var private syscall.Stat_t
		if syscall.Stat(path, &private) == nil && private.Ino == stat.Ino && private.Dev == stat.Dev {
			return true
		}
	}

	return false
}
