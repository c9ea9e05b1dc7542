package spawner

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxHtaccess is how large such a file may be. Lists of addresses make some large.
	maxHtaccess = 1 << 20
	// maxSections is how many of its sections may be for a file.
	maxSections = 100
)

// fileRules are what the .htaccess files on the way to a file, from the document root down, say of that file.
type fileRules struct {
	// denied means that no client gets it, and off that PHP does not execute it.
	denied, off bool
}

// section is a part of an .htaccess that is for some files only.
type section struct {
	// opening is the line with which it begins.
	opening string
	// isFor is whether it is for the file in question; nil means that it was not asked for yet.
	isFor *bool
}

// apply adds the rules of one .htaccess for a file. Later ones count more.
func (r *fileRules) apply(htaccess, file string) {
	var sections []*section

	opened := 0
	for line := range strings.Lines(htaccess) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}

		switch name := strings.ToLower(words[0]); {
		case strings.HasPrefix(name, "<files"), strings.HasPrefix(name, "<limit"):
			next := &section{opening: strings.TrimSpace(line)}
			if opened++; opened > maxSections {
				next.isFor = new(bool)
			}

			sections = append(sections, next)
		case strings.HasPrefix(name, "</files"), strings.HasPrefix(name, "</limit"):
			sections = sections[:max(0, len(sections)-1)]
		default:
			changed := *r
			changed.direct(name, words[1:])

			// What denies a whole directory is for deniesAll.
			if len(sections) == 0 && changed.denied {
				changed.denied = r.denied
			}

			// A pattern costs more than a line: most are about other things, such as caching.
			if changed != *r && !slices.ContainsFunc(sections, func(s *section) bool { return !s.covers(file) }) {
				*r = changed
			}
		}
	}
}

// covers reports whether the section is for a file. One for some methods, or with a pattern that is not understood, is
// for none.
func (s *section) covers(file string) bool {
	if s.isFor == nil {
		covers := matchesFile(s.opening, file)
		s.isFor = &covers
	}

	return *s.isFor
}

func matchesFile(opening, file string) bool {
	name, pattern, _ := strings.Cut(strings.TrimSuffix(opening, ">"), " ")
	pattern, isRegexp := strings.CutPrefix(strings.TrimSpace(pattern), "~")
	pattern = strings.Trim(pattern, " \t\"'")

	switch name = strings.ToLower(name); {
	case name == "<filesmatch", name == "<files" && isRegexp:
		re, err := regexp.Compile(pattern)
		return err == nil && re.MatchString(file)
	case name == "<files":
		matches, err := path.Match(pattern, file)
		return err == nil && matches
	}

	return false
}

// direct takes what a directive says of access, and of PHP.
func (r *fileRules) direct(name string, args []string) {
	if len(args) == 0 {
		return
	}

	first := strings.ToLower(args[0])
	isPHP := strings.Contains(first, "php") || strings.Contains(first, "fcgi")
	all := strings.ToLower(strings.Join(args, " "))

	switch name {
	case "deny", "allow":
		if all == "from all" {
			r.denied = name == "deny"
		}
	case "require":
		if all == "all denied" || all == "all granted" {
			r.denied = all == "all denied"
		}
	case "php_flag", "php_value":
		if first == "engine" && len(args) > 1 {
			r.off = slices.Contains([]string{"off", "0", "false"}, strings.ToLower(args[1]))
		}
	case "sethandler", "forcetype":
		r.off = !isPHP
	case "addhandler", "addtype":
		if slices.ContainsFunc(args[1:], isPHPExtension) {
			r.off = !isPHP
		}
	case "removehandler", "removetype":
		r.off = r.off || slices.ContainsFunc(args, isPHPExtension)
	}
}

func isPHPExtension(word string) bool {
	return strings.EqualFold(strings.TrimPrefix(word, "."), "php")
}

// deniesAll reports whether the directives of Apache 2.2 or 2.4 deny access to all of a directory, and not only to some
// of its files.
func deniesAll(htaccess string) bool {
	partial := 0
	for line := range strings.Lines(htaccess) {
		words := strings.Fields(strings.ToLower(line))
		if len(words) == 0 {
			continue
		}

		switch directive := strings.Join(words, " "); {
		case strings.HasPrefix(directive, "<files"), strings.HasPrefix(directive, "<limit"):
			partial++
		case strings.HasPrefix(directive, "</files"), strings.HasPrefix(directive, "</limit"):
			partial = max(0, partial-1)
		case partial > 0:
		case directive == "deny from all", directive == "require all denied":
			return true
		}
	}

	return false
}
