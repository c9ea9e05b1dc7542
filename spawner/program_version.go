package spawner

import (
	"path/filepath"
	"strings"

	"github.com/gopassenger/passenger/internal/ownfile"
)

var (
	programName = lazy(`^(?:ruby|python|node)-?(\d+(?:\.\d+)+)$`)
	libruby     = lazy(`libruby.*\.so\.(\d+\.\d+\.\d+)$`)
	patchLevel  = lazy(`#define\s+PY_VERSION\s+"(\d+\.\d+\.\d+)`)
	nodeParts   = lazy(`#define\s+NODE_(?:MAJOR|MINOR|PATCH)_VERSION\s+(\d+)`)
)

// maxHeader is how much of a header file may be read.
const maxHeader = 64 << 10

// programVersion returns the version of an interpreter without executing it: by its name, its directory, its library or
// its header files.
func programVersion(path string) (v knownVersion, ok bool) {
	// Links such as /usr/bin/python3 have no whole version in their names.
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return v, false
	}

	prefix := filepath.Dir(filepath.Dir(real))
	if v, release := directoryVersion(filepath.Base(prefix)); release {
		return v, true
	}

	if match := programName().FindStringSubmatch(filepath.Base(real)); match != nil {
		v, ok = parseVersion(match[1])
	}

	whole := knownVersion{}
	switch name := filepath.Base(real); {
	case strings.HasPrefix(name, "ruby"):
		whole = rubyVersion(prefix, v)
	case strings.HasPrefix(name, "python"):
		header := readHeader(filepath.Join(prefix, "include", name, "patchlevel.h"))
		if match := patchLevel().FindStringSubmatch(header); match != nil {
			whole, _ = parseVersion(match[1])
		}
	case strings.HasPrefix(name, "node"):
		var parts []string

		header := readHeader(filepath.Join(prefix, "include/node/node_version.h"))
		for _, match := range nodeParts().FindAllStringSubmatch(header, len(whole.version)) {
			parts = append(parts, match[1])
		}

		whole, _ = parseVersion(strings.Join(parts, "."))
	}

	if whole.parts > 0 {
		return whole, true
	}

	return v, ok
}

// rubyVersion returns the version of the library that a Ruby in a directory has. name is the version in the name of the
// program, which tells one Ruby from others beside it.
func rubyVersion(prefix string, name knownVersion) knownVersion {
	for _, pattern := range []string{"lib/libruby*.so.*.*.*", "lib/*/libruby*.so.*.*.*"} {
		files, _ := filepath.Glob(filepath.Join(prefix, pattern)) // the pattern is right
		for _, file := range files {
			match := libruby().FindStringSubmatch(file)
			if match == nil {
				continue
			}

			if v, ok := parseVersion(match[1]); ok && (versionRange{name.allowedBy("")}).mayHave(v) {
				return v
			}
		}
	}

	return knownVersion{}
}

func readHeader(path string) string {
	text, err := ownfile.ReadRegular(path, maxHeader)
	if err != nil {
		return ""
	}

	return string(text)
}

// globalVersions returns the versions that a manager executes where nothing else is chosen.
func globalVersions(root string) []string {
	text, err := ownfile.ReadRegular(filepath.Join(root, "version"), maxVersionFile)
	if err != nil {
		return nil
	}

	var names []string
	for name := range strings.FieldsSeq(strings.ReplaceAll(string(text), ":", " ")) {
		if (&wish{text: name}).check() != nil || strings.Contains(name, "/") {
			return nil
		}

		names = append(names, name)
	}

	return names
}
