package handler

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// format is what an error is told in.
type format uint8

const (
	formatHTML format = iota
	formatJSON
	formatText
)

// mediaRange is one of the things that a client accepts.
type mediaRange struct {
	mediaType string
	quality   float64
}

// chooseFormat returns what the client likes best: by quality, then what it
// names exactly, then what it names first. To whom all is the same, the format
// of its own body, or HTML.
func chooseFormat(header http.Header) format {
	formats := []format{formatHTML, formatJSON, formatText}
	if body, _, err := parseMediaType(header.Get("Content-Type")); err == nil && formatJSON.match(body) == exactMatch {
		formats = []format{formatJSON, formatHTML, formatText}
	}

	ranges := acceptedRanges(header)

	chosen, best := formats[0], preference{}
	for _, f := range formats {
		if p := f.preference(ranges); p.quality > 0 && p.above(best) {
			chosen, best = f, p
		}
	}

	return chosen
}

const (
	// maxMediaRanges is how many members of Accept are looked at, from the first one on: browsers send eight.
	maxMediaRanges = 32
	// maxMediaType is how long each of them, and a Content-Type, may be.
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
		if quality, err = strconv.ParseFloat(q, 64); err != nil || !(quality >= 0 && quality <= 1) {
			return mediaRange{}, false
		}
	}

	return mediaRange{mediaType, quality}, true
}

// How well a media range names a format.
const (
	noMatch = iota
	anyMatch
	typeMatch
	exactMatch
)

func (f format) match(mediaType string) int {
	name := map[format]string{formatHTML: "text/html", formatJSON: "application/json", formatText: "text/plain"}[f]

	family, _, _ := strings.Cut(name, "/")
	switch {
	case mediaType == name, f == formatJSON && strings.HasSuffix(mediaType, "+json"):
		return exactMatch
	case mediaType == family+"/*":
		return typeMatch
	case mediaType == "*/*":
		return anyMatch
	}

	return noMatch
}

// preference is how much a client likes a format; zero: not at all.
type preference struct {
	quality float64
	match   int
	// first counts the ranges from the one that names the format to the last.
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

// preference is that of the range which names the format best.
func (f format) preference(ranges []mediaRange) (best preference) {
	for i, r := range ranges {
		p := preference{r.quality, f.match(r.mediaType), len(ranges) - i}
		if p.match > best.match || p.match == best.match && p.match != noMatch && p.quality > best.quality {
			best = p
		}
	}

	return best
}
