package options

import (
	"encoding/json"
	"fmt"
)

// wanted says for each kind what a value of it is.
var wanted = map[Kind]string{
	Text:         "a text",
	Int:          "a whole number",
	Int64:        "a whole number",
	Float:        "a number",
	Bool:         "true or false",
	List:         "a list of texts",
	Map:          `an object of names and values, as {"NAME": "value"}`,
	Switch:       "auto, true or false",
	Path:         "a path",
	AbsolutePath: "an absolute path",
	Output:       "a path, or - for standard output",
	Paths:        "a list of paths",
	PathMap:      `an object of names and paths, as {"NAME": "path"}`,
	Hooks:        `an object of names and values, as {"NAME": "value"}`,
	Command:      "a text or a list of texts",
	Statuses:     "a text such as 200-299,401, a number, or a list of them",
	Object:       "an object",
	Foreign:      "a text",
}

// maxShown is how much of a value an error has.
const maxShown = 60

// shown returns a value as it is written in a file.
func shown(raw any) string {
	text, err := json.Marshal(raw)
	if err != nil {
		// JSON has no form for it, as for infinity.
		return fmt.Sprint(raw)
	}

	if len(text) > maxShown {
		return string(text[:maxShown]) + "..."
	}

	return string(text)
}

// kindOf says what a value is, without showing it: it may be secret.
func kindOf(raw any) string {
	switch raw.(type) {
	case nil:
		return "null"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case string:
		return "a text"
	case bool:
		return "true or false"
	}

	return "a number"
}
