package errorpage

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Format is what a page is rendered as.
type Format uint8

// The formats.
const (
	HTML Format = iota
	JSON
	Text
)

// mediaRange is a member of Accept.
type mediaRange struct {
	mediaType string
	quality   float64
}

// ChooseFormat returns the format that the client of a request with this header likes best: by quality, then the one
// that it names exactly, then the one that it names first. A client with no preference gets the format of its own body,
// or HTML.
func ChooseFormat(header http.Header) Format {
	formats := []Format{HTML, JSON, Text}
	if body, _, err := parseMediaType(header.Get("Content-Type")); err == nil && JSON.match(body) == exactMatch {
		formats = []Format{JSON, HTML, Text}
	}

	ranges := acceptedRanges(header)

	chosen, best := formats[0], preference{}
	for _, f := range formats {
		// A quality of 0 refuses a format (RFC 9110, section 12.4.2).
		if p := f.preference(ranges); p.quality > 0 && p.above(best) {
			chosen, best = f, p
		}
	}

	return chosen
}

const (
	// maxMediaRanges bounds how many members of Accept are read, from the first one: browsers send eight.
	maxMediaRanges = 32
	// maxMediaType bounds the length of each of them, and of a Content-Type.
	maxMediaType = 256
)

var errLongMediaType = errors.New("the media type is too long")

func parseMediaType(s string) (mediaType string, params map[string]string, err error) {
	if len(s) > maxMediaType {
		return "", nil, errLongMediaType
	}

	return mime.ParseMediaType(s)
}

func acceptedRanges(header http.Header) (ranges []mediaRange) {
	left := maxMediaRanges
	for _, line := range header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			if left--; left < 0 {
				return ranges
			}

			if r, ok := parseMediaRange(part); ok {
				ranges = append(ranges, r)
			}
		}
	}

	return ranges
}

func parseMediaRange(s string) (r mediaRange, ok bool) {
	mediaType, params, err := parseMediaType(s)
	if err != nil {
		return mediaRange{}, false
	}

	quality := 1.0
	if q, ok := params["q"]; ok {
		// NaN is not within these limits.
		if quality, err = strconv.ParseFloat(q, 64); err != nil || !(quality >= 0 && quality <= 1) {
			return mediaRange{}, false
		}
	}

	return mediaRange{mediaType, quality}, true
}

// How well a media range matches a format.
const (
	noMatch = iota
	anyMatch
	typeMatch
	exactMatch
)

func (f Format) match(mediaType string) int {
	name := map[Format]string{HTML: "text/html", JSON: "application/json", Text: "text/plain"}[f]

	family, _, _ := strings.Cut(name, "/")
	switch {
	case mediaType == name, f == JSON && strings.HasSuffix(mediaType, "+json"):
		return exactMatch
	case mediaType == family+"/*":
		return typeMatch
	case mediaType == "*/*":
		return anyMatch
	}

	return noMatch
}

// preference is how much a client likes a format; zero means not at all.
type preference struct {
	quality float64
	match   int
	// first counts the ranges from the one that matches the format to the last.
	first int
}

func (p preference) above(q preference) bool {
	if p.quality != q.quality {
		return p.quality > q.quality
	}

	if p.match != q.match {
		return p.match > q.match
	}

	return p.first > q.first
}

// preference returns the preference by the range that matches the format best.
func (f Format) preference(ranges []mediaRange) (best preference) {
	for i, r := range ranges {
		p := preference{r.quality, f.match(r.mediaType), len(ranges) - i}
		// The most specific range counts, whatever its quality (RFC 9110, section 12.5.1).
		if p.match > best.match || p.match == best.match && p.match != noMatch && p.quality > best.quality {
			best = p
		}
	}

	return best
}
