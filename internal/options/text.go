package options

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// ConvertVariable is Convert for a variable of the environment: lists have blanks between, and names their values as
// NAME=VALUE with blanks between; both may be JSON.
func (o *Option) ConvertVariable(value, dir string) (any, error) {
	switch o.Kind {
	case List, Paths:
		if !strings.HasPrefix(strings.TrimSpace(value), "[") {
			break
		}

		var list []any
		if err := json.Unmarshal([]byte(value), &list); err != nil {
			return nil, fmt.Errorf("%s is no valid JSON: %w", o.Key, err)
		}

		return o.Convert(list, dir)
	case Map, PathMap:
		settings, err := o.split(value)
		if err != nil && o.Kind == PathMap && !strings.HasPrefix(strings.TrimSpace(value), "{") {
			settings, err = strings.Fields(value), nil // the names are paths
		}

		if err != nil {
			// The value may be secret.
			return nil, fmt.Errorf("%s must be NAME=VALUE, several with blanks between, or a JSON object", o.Key)
		}

		return o.Convert(settings, dir)
	case Text, Int, Int64, Float, Bool, Switch, Path, AbsolutePath, Output, Hooks, Command, Statuses, Object, Foreign:
	}

	return o.Convert(value, dir)
}

// ConvertParam returns the value of a request's parameter as the field has it. Lists and maps may be
// JSON. Paths are not changed, as the web server's directory means nothing here.
func (o *Option) ConvertParam(value string) (any, error) {
	switch o.Kind {
	case List, Paths, Command:
		if !strings.HasPrefix(value, "[") {
			break
		}

		var list []string
		if json.Unmarshal([]byte(value), &list) != nil || o.Kind == Command && len(list) == 0 {
			return nil, fmt.Errorf("%s must be a JSON array of texts", o.Key)
		}

		return list, nil
	case Map, PathMap, Hooks:
		return o.mapParam(value)
	case Path, AbsolutePath, Output:
		if o.Kind == AbsolutePath && !filepath.IsAbs(value) {
			return nil, fmt.Errorf("%s is %q: it must be an absolute path", o.Key, value)
		}

		return filepath.Clean(value), nil
	case Text, Int, Int64, Float, Bool, Switch, Statuses, Object, Foreign:
	}

	if o.Kind == Paths {
		return strings.Fields(value), nil
	}

	return o.Convert(value, "")
}

// mapParam shows nothing of the value, which may be secret.
func (o *Option) mapParam(value string) (map[string]string, error) {
	fault := fmt.Errorf("%s must be a JSON object of names and values, or names and values with a NUL behind each "+
		"as Base64", o.Key)
	named := map[string]string{}
	if strings.HasPrefix(value, "{") {
		if json.Unmarshal([]byte(value), &named) != nil {
			return nil, fault
		}

		return named, nil
	}

	decoded, err := base64.StdEncoding.DecodeString(value)

	parts := strings.Split(strings.TrimSuffix(string(decoded), "\x00"), "\x00")
	if err != nil || len(parts)%2 != 0 {
		return nil, fault
	}

	for i := 0; i < len(parts); i += 2 {
		named[parts[i]] = parts[i+1]
	}

	return named, nil
}
