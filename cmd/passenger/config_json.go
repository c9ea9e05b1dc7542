package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gopassenger/passenger/internal/admin"
)

// byteOrderMark is what editors of Windows write before a text.
var byteOrderMark = []byte("\ufeff")

// syntaxError says where a text is no JSON, and what is often written there.
func syntaxError(b []byte, err error) string {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return fmt.Sprintf(" is not valid: %v: correct it, or check it with a JSON linter", err)
	}

	// The offset is that behind the byte which is wrong.
	at := min(int(syntax.Offset), len(b))
	advice := "correct it, or check it with a JSON linter"

	before, rest := bytes.TrimRight(b[:max(at-1, 0)], " \t\r\n"), b[max(at-1, 0):]
	switch {
	case bytes.HasPrefix(rest, []byte("/")), bytes.HasPrefix(rest, []byte("#")):
		advice = "JSON has no comments: remove it"
	case bytes.HasPrefix(rest, []byte("'")):
		advice = "JSON has texts in double quotes"
	case bytes.HasSuffix(before, []byte(",")) && (rest[0] == '}' || rest[0] == ']'):
		advice = "remove the comma behind the last element"
	case slices.Contains(b, 0):
		advice = "write the file as UTF-8, not UTF-16"
	}

	return fmt.Sprintf(", line %d, is not valid: %v: %s", 1+bytes.Count(b[:at], []byte("\n")), err, advice)
}

// repeatedKeys returns the keys that an object has twice in a valid text, in it or in an object within.
func repeatedKeys(b []byte) (repeated []string) {
	type level struct {
		object bool
		keys   map[string]bool
		// wantsKey is true where the next text is a key.
		wantsKey bool
	}

	var levels []*level
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		token, err := d.Token()
		if err != nil {
			return repeated
		}

		var now *level
		if n := len(levels); n > 0 {
			now = levels[n-1]
		}

		switch delim, _ := token.(json.Delim); {
		case delim == '}' || delim == ']':
			levels = levels[:len(levels)-1]
			continue
		case now != nil && now.wantsKey:
			key, _ := token.(string)
			if now.keys[key] && !slices.Contains(repeated, key) {
				repeated = append(repeated, key)
			}

			now.keys[key], now.wantsKey = true, false

			continue
		case now != nil:
			now.wantsKey = now.object
		}

		if delim, ok := token.(json.Delim); ok {
			object := delim == '{'
			levels = append(levels, &level{object: object, keys: map[string]bool{}, wantsKey: object})
		}
	}
}

// nearest returns the first of the names with the fewest wrong letters, or nothing if there are too many of them.
func nearest(name string, known []string) (best string) {
	// One letter of four may be wrong, and two at most.
	fewest := min(3, 1+(len(name)+1)/4)
	for _, one := range known {
		if n := admin.Edits(name, one); n < fewest {
			best, fewest = one, n
		}
	}

	return best
}
