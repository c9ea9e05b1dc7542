package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/agent"
)

// standardOutput is the name of a file that is none.
const standardOutput = "-"

// toPath returns path as an absolute one; an empty one stays empty.
func (o *option) toPath(path, dir string) (string, error) {
	if path == "" || filepath.IsAbs(path) {
		return clean(path), nil
	}

	if dir == "" {
		return "", fmt.Errorf("%s is %q, relative to the working directory, which does not exist any more: "+
			"write an absolute path", o.key, path)
	}

	return filepath.Join(dir, path), nil
}

func clean(path string) string {
	if path == "" {
		return ""
	}

	return filepath.Clean(path)
}

// toPaths keeps a dash in front of a path, which allows the file to be missing.
func (o *option) toPaths(raw any, dir string) (any, error) {
	value, err := o.toList(raw)
	list, ok := value.([]string)
	if err != nil || !ok {
		return nil, err
	}

	paths := make([]string, len(list))
	for i, path := range list {
		path, optional := strings.CutPrefix(path, "-")
		if paths[i], err = o.toPath(path, dir); err != nil {
			return nil, err
		}

		if optional {
			paths[i] = "-" + paths[i]
		}
	}

	return paths, nil
}

func (o *option) toPathMap(raw any, dir string) (any, error) {
	value, err := o.toMap(raw)
	paths, ok := value.(map[string]string)
	if err != nil || !ok {
		return nil, err
	}

	for name, path := range paths {
		if paths[name], err = o.toPath(path, dir); err != nil {
			return nil, err
		}
	}

	return paths, nil
}

// toHooks takes an object, the list of NAME=VALUE that the original has, or a text
// with several of these. A program with a slash in its name is a path, as for a shell.
func (o *option) toHooks(raw any, dir string) (any, error) {
	switch v := raw.(type) {
	case string:
		pairs, err := o.split(v)
		if err != nil {
			return nil, err
		}

		raw = pairs
	case []any:
		list, err := o.toList(v)
		if err != nil {
			return nil, err
		}

		raw = list
	}

	value, err := o.toMap(raw)
	ctls, ok := value.(map[string]string)
	if err != nil || !ok {
		return nil, err
	}

	for name, programs := range ctls {
		if !strings.HasPrefix(name, "hook_") {
			continue
		}

		list := strings.Split(programs, ";")
		for i, program := range list {
			list[i] = strings.TrimSpace(program)
			if strings.Contains(list[i], "/") {
				if list[i], err = o.toPath(list[i], dir); err != nil {
					return nil, err
				}
			}
		}

		ctls[name] = strings.Join(list, ";")
	}

	return ctls, nil
}

// setting is where NAME= begins in a text of several.
var setting = regexp.MustCompile(`(^|\s)[A-Za-z_][A-Za-z0-9_]*=`)

// split returns the settings in a variable of the environment: JSON, or NAME=VALUE
// with blanks or line ends between.
func (o *option) split(text string) (any, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("%s is no valid JSON: %w", o.key, err)
		}

		if list, ok := value.([]any); ok {
			return o.toList(list)
		}

		return value, nil
	}

	begins := setting.FindAllStringIndex(text, -1)
	if len(begins) == 0 || begins[0][0] != 0 {
		return nil, fmt.Errorf("%q must be NAME=VALUE", text)
	}

	pairs := make([]string, len(begins))
	for i := range begins {
		end := len(text)
		if i+1 < len(begins) {
			end = begins[i+1][0]
		}

		pairs[i] = strings.TrimSpace(text[begins[i][0]:end])
	}

	return pairs, nil
}

func (o *option) toInt(raw any) (any, error) {
	switch v := raw.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < math.MaxInt32 {
			return int(v), nil
		}
	case string:
		if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
			return n, nil
		}
	}

	return nil, fmt.Errorf("%s must be a whole number, not %q", o.key, fmt.Sprint(raw))
}

func (o *option) toFloat(raw any) (any, error) {
	switch v := raw.(type) {
	case float64:
		return v, nil
	case string:
		if n, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
			return n, nil
		}
	}

	return nil, fmt.Errorf("%s must be a number, not %q", o.key, fmt.Sprint(raw))
}

func (o *option) toList(raw any) (any, error) {
	switch v := raw.(type) {
	case []string:
		return v, nil
	case string:
		return strings.Fields(v), nil
	case []any:
		list := make([]string, len(v))
		for i, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("%s must be a list of texts, not of %v", o.key, item)
			}

			list[i] = s
		}

		return list, nil
	}

	return nil, fmt.Errorf("%s must be a list of texts, not %v", o.key, raw)
}

// toStatus allows for 200 without quotes, and for an array.
func (o *option) toStatus(raw any) (any, error) {
	items, ok := raw.([]any)
	if !ok {
		items = []any{raw}
	}

	texts := make([]string, len(items))
	for i, item := range items {
		switch item.(type) {
		case string, float64:
			texts[i] = fmt.Sprint(item)
		default:
			return nil, fmt.Errorf("%s must be a text such as 200-299,401, a number, or a list of them, not %v", o.key,
				raw)
		}
	}

	return strings.Join(texts, ","), nil
}

func (o *option) toBool(raw any) (any, error) {
	switch v := raw.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(v) {
		case "true", "yes", "on", "1":
			return true, nil
		case "false", "no", "off", "0":
			return false, nil
		}
	}

	return nil, fmt.Errorf("%s must be true or false, not %q", o.key, fmt.Sprint(raw))
}

func (o *option) toCommand(raw any) (any, error) {
	if _, ok := raw.([]any); ok {
		return o.toList(raw)
	}

	s, ok := raw.(string)
	if !ok {
		return nil, fmt.Errorf("%s must be a text or a list of texts, not %v", o.key, raw)
	}

	argv, err := agent.ParseCommand(s)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", o.key, err)
	}

	return argv, nil
}

func (o *option) toMap(raw any) (any, error) {
	env := map[string]string{}
	switch v := raw.(type) {
	case []string:
		for _, pair := range v {
			name, value, ok := strings.Cut(pair, "=")
			if !ok || name == "" {
				return nil, fmt.Errorf("%q must be NAME=VALUE", pair)
			}

			env[name] = value
		}
	case map[string]any:
		for name, value := range v {
			switch value.(type) {
			case string, float64, bool:
				env[name] = fmt.Sprint(value)
			default:
				return nil, fmt.Errorf("%s: the value of %s must be a text", o.key, name)
			}
		}
	default:
		return nil, errors.New(o.key + " must be an object of names and values")
	}

	return env, nil
}
