package spawner

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// version is the number of a release: major, minor and patch.
type version [3]int

// knownVersion is a version of which only some parts may be known.
type knownVersion struct {
	version
	// parts is how many are known.
	parts int
}

var versionNumber = lazy(`^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?$`)

// parseVersion reads a number with one to three parts.
func parseVersion(text string) (v knownVersion, ok bool) {
	match := versionNumber().FindStringSubmatch(text)
	if match == nil {
		return v, false
	}

	for i, part := range match[1:] {
		if part == "" {
			break
		}

		v.version[i], _ = strconv.Atoi(part) // they are digits
		v.parts++
	}

	return v, true
}

// next returns the first version behind those that begin with the first parts of v.
func (v knownVersion) next(parts int) version {
	if parts == 0 {
		return endless
	}

	var next version
	copy(next[:parts], v.version[:parts])
	next[parts-1]++

	return next
}

// String returns the known parts.
func (v knownVersion) String() string {
	parts := make([]string, v.parts)
	for i := range parts {
		parts[i] = strconv.Itoa(v.version[i])
	}

	return strings.Join(parts, ".")
}

func (v version) compare(other version) int { return slices.Compare(v[:], other[:]) }

// endless is behind all versions.
var endless = version{math.MaxInt, 0, 0}

// bounds are the versions from one on, up to and without another.
type bounds struct{ from, to version }

var allVersions = bounds{to: endless}

// and returns what both have.
func (b bounds) and(other bounds) bounds {
	if other.from.compare(b.from) > 0 {
		b.from = other.from
	}

	if other.to.compare(b.to) < 0 {
		b.to = other.to
	}

	return b
}

// versionRange has the versions of any of its bounds.
type versionRange []bounds

// mayHave reports whether a version is in the range, as far as its parts are known.
func (r versionRange) mayHave(v knownVersion) bool {
	own := bounds{v.version, v.next(v.parts)}

	return slices.ContainsFunc(r, func(b bounds) bool {
		both := own.and(b)
		return both.from.compare(both.to) < 0
	})
}

var (
	rangeAlternatives = lazy(`\s*\|\|\s*`)
	hyphenRange       = lazy(`^(\S+)\s+-\s+(\S+)$`)
	comparator        = lazy(`^(~[>=]|[<>]=?|={1,3}|[\^~])?\s*(v?[\dxX*][\d.xX*]*)\s*,?\s*`)
)

// maxRange is how long the text of a range may be.
const maxRange = 200

// parseRange reads what npm, RubyGems and pip call a requirement, as ">=18 <21", "^20 || 22.x", "~> 3.2" or "~=3.2".
func parseRange(text string) (r versionRange, ok bool) {
	if len(text) > maxRange {
		return nil, false
	}

	for _, alternative := range rangeAlternatives().Split(strings.TrimSpace(text), -1) {
		b, ok := parseBounds(alternative)
		if !ok {
			return nil, false
		}

		r = append(r, b)
	}

	return r, true
}

// parseBounds reads comparators that hold all at once.
func parseBounds(text string) (bounds, bool) {
	all := allVersions
	if m := hyphenRange().FindStringSubmatch(text); m != nil {
		from, fromOK := compared(">=", m[1])
		to, toOK := compared("<=", m[2])

		return from.and(to), fromOK && toOK
	}

	for text != "" {
		m := comparator().FindStringSubmatch(text)
		if m == nil {
			return all, false
		}

		b, ok := compared(m[1], m[2])
		if !ok {
			return all, false
		}

		all = all.and(b)
		text = text[len(m[0]):]
	}

	return all, true
}

// compared returns the versions that a comparator allows. A placeholder, as in 18.x or 18.*, ends the number.
func compared(operator, text string) (bounds, bool) {
	if at := strings.IndexAny(text, "xX*"); at >= 0 {
		text = strings.TrimSuffix(text[:at], ".")
	}

	if text == "" || text == "v" {
		return allVersions, true
	}

	v, ok := parseVersion(text)

	return v.allowedBy(operator), ok
}

func (v knownVersion) allowedBy(operator string) bounds {
	switch operator {
	case ">=":
		return bounds{v.version, endless}
	case ">":
		return bounds{v.next(v.parts), endless}
	case "<":
		return bounds{to: v.version}
	case "<=":
		return bounds{to: v.next(v.parts)}
	case "^":
		// The first part that is not zero stays, or the last that is known.
		parts := 1
		for parts < v.parts && v.version[parts-1] == 0 {
			parts++
		}

		return bounds{v.version, v.next(min(parts, v.parts))}
	// npm: the minor version stays if there is one, as in ~1.2.3 and ~1.2.
	case "~":
		return bounds{v.version, v.next(min(v.parts, 2))}
	// RubyGems' pessimistic operator, and PEP 440's compatible release: only the last part may grow.
	case "~>", "~=":
		return bounds{v.version, v.next(max(v.parts-1, min(v.parts, 1)))}
	}

	return bounds{v.version, v.next(v.parts)}
}
