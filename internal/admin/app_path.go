package admin

import (
	"path/filepath"
	"slices"
	"strings"
)

// AppPath is how a user names the directory of an application, or its beginning.
type AppPath struct {
	// Path is absolute and clean, but for a slash at the end, which makes it a whole
	// directory rather than the beginning of a name.
	Path string
	// resolved is the directory that it leads to; empty means that it is none.
	resolved string
}

// NewAppPath returns path relative to the current directory.
func NewAppPath(path string) (AppPath, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return AppPath{}, err
	}

	p := AppPath{Path: abs, resolved: resolve(abs)}
	if strings.HasSuffix(path, "/") && abs != "/" {
		p.Path += "/"
	}

	return p, nil
}

// resolve returns where path leads to now, or nothing.
func resolve(path string) string {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}

	return resolved
}

// Match returns the apps whose directory begins with p, and those whose directory
// is the one that p leads to, or below that, by whatever name.
func (p AppPath) Match(apps []App) []App {
	return slices.DeleteFunc(slices.Clone(apps), func(a App) bool { return !p.matches(&a) })
}

func (p AppPath) matches(a *App) bool {
	if strings.HasPrefix(a.Root+"/", p.Path) {
		return true
	}

	// The release that runs, and the one that a restart would run: the link may
	// have been switched since.
	for _, dir := range []string{a.Root, a.Release, resolve(a.Root)} {
		if dir == "" {
			continue
		}

		if isBelow(dir, p.Path) || p.resolved != "" && isBelow(dir, p.resolved) {
			return true
		}
	}

	return false
}

// isBelow reports whether a directory is above or below it.
func isBelow(dir, above string) bool {
	return strings.HasPrefix(dir+"/", strings.TrimSuffix(above, "/")+"/")
}

// IsIn reports whether p is an application's directory or below it.
func (p AppPath) IsIn(root string) bool {
	if isBelow(strings.TrimSuffix(p.Path, "/"), root) {
		return true
	}

	resolved := resolve(root)

	return resolved != "" && p.resolved != "" && isBelow(p.resolved, resolved)
}

// Near returns the apps that a user may have meant by p, although it does not
// match: p is below their directories, or their last names are much the same.
func (p AppPath) Near(apps []App) []App {
	path := strings.TrimSuffix(p.Path, "/")
	near := func(a App) bool {
		inRelease := p.resolved != "" && a.Release != "" && isBelow(p.resolved, a.Release)
		return inRelease || isBelow(path, a.Root) || alike(filepath.Base(path), filepath.Base(a.Root)) ||
			strings.EqualFold(path, a.Root)
	}

	return slices.DeleteFunc(slices.Clone(apps), func(a App) bool { return !near(a) })
}

// NearName returns the apps that a user may have meant by a name.
func NearName(apps []App, name string) []App {
	if name == "" {
		return nil
	}

	return slices.DeleteFunc(slices.Clone(apps), func(a App) bool {
		withoutEnvironment, _, _ := strings.Cut(a.Name, " (")
		return !alike(name, a.Name) && !alike(name, withoutEnvironment) && strings.TrimSuffix(name, "/") != a.Root &&
			name != filepath.Base(a.Root)
	})
}

// alike reports whether two names are the same but for their case and, if they are
// not too short for that, two letters.
func alike(a, b string) bool {
	const minLength, maxEdits = 4, 2
	a, b = strings.ToLower(a), strings.ToLower(b)
	return a == b || min(len(a), len(b)) >= minLength && Edits(a, b) <= maxEdits
}

// Edits counts the letters to insert, remove or replace to make b of a.
func Edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}

	for i := range len(a) {
		diagonal := row[0]

		row[0]++
		for j := range len(b) {
			n := diagonal
			if a[i] != b[j] {
				n = 1 + min(diagonal, row[j], row[j+1])
			}

			diagonal, row[j+1] = row[j+1], n
		}
	}

	return row[len(b)]
}
