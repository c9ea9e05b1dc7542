package validators

import (
	"net/http"
	"strings"
)

// NotModified reports whether the client of a GET or HEAD has what a stored response has, by the conditions of its
// request, RFC 9110 section 13.2.2: If-None-Match, whose tags are compared weakly, or else If-Modified-Since. What does
// not follow the grammar is no condition.
func NotModified(request, stored http.Header) bool {
	if lines, asked := request["If-None-Match"]; asked {
		return hasTag(lines, stored.Get("ETag"))
	}

	modified, err := http.ParseTime(stored.Get("Last-Modified"))
	if err != nil {
		return false
	}

	since, err := http.ParseTime(request.Get("If-Modified-Since"))

	return err == nil && !modified.After(since)
}

// hasTag reports whether a list of entity tags has one, or is the star, which stands for any response.
func hasTag(lines []string, tag string) bool {
	if len(lines) == 1 && strings.Trim(lines[0], " \t") == "*" {
		return true
	}

	tag, rest, ok := cutTag(tag)
	if !ok || rest != "" {
		return false
	}

	for _, line := range lines {
		for {
			// Elements may be empty, RFC 9110 section 5.6.1.
			line = strings.TrimLeft(line, " \t,")

			other, rest, ok := cutTag(line)
			if !ok {
				break
			}

			if other == tag {
				return true
			}

			line = rest
		}
	}

	return false
}

// cutTag cuts the first entity tag off a list, without the mark of a weak one. ok is false if there is none.
func cutTag(list string) (tag, rest string, ok bool) {
	list = strings.TrimPrefix(list, "W/")
	if !strings.HasPrefix(list, `"`) {
		return "", "", false
	}

	end := strings.IndexByte(list[1:], '"')
	if end < 0 {
		return "", "", false
	}

	return list[:end+2], list[end+2:], true
}
