package options

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Kind is what an option's values are. Those without a comment follow from the type of the field.
type Kind uint8

// The kinds.
const (
	Text Kind = iota
	Int
	Int64
	Float
	Bool
	List
	Map
	// Switch is auto, true or false.
	Switch
	// Path is relative to the place that it was written in.
	Path
	// AbsolutePath cannot be relative.
	AbsolutePath
	// Output is a path, or - for standard output.
	Output
	// Paths have a dash in front if they may be missing.
	Paths
	// PathMap has paths as values.
	PathMap
	// Hooks are programs by the names of events, several with semicolons between.
	Hooks
	// Command is for a shell, if it needs one.
	Command
	// Statuses are one text, a number, or a list of them.
	Statuses
	// Object is JSON, which Option.Parse reads.
	Object
	// Foreign options are the original's, and without a meaning here.
	Foreign
)

// The values of a Switch.
const (
	on   = "true"
	off  = "false"
	auto = "auto"
)

// Convert returns a value as the field has it. Relative paths are below dir, or the working directory
// if that is empty.
func (o *Option) Convert(raw any, dir string) (any, error) {
	if raw == nil {
		return nil, fmt.Errorf("%s is null: leave it out for its default, or give it %s", o.Key, wanted[o.Kind])
	}

	switch o.Kind {
	case Int:
		return o.toInt(raw, math.MaxInt32)
	case Int64:
		number, err := o.toInt(raw, MaxNumber)
		return int64(number), err
	case Float:
		return o.toFloat(raw)
	case Command:
		return o.toCommand(raw)
	case Map:
		return o.toMap(raw)
	case List:
		return o.toList(raw)
	case Paths:
		return o.toPaths(raw, dir)
	case PathMap:
		return o.toPathMap(raw, dir)
	case Hooks:
		return o.toHooks(raw, dir)
	case Bool:
		return o.toBool(raw)
	case Switch:
		return o.toSwitch(raw)
	case Statuses:
		return o.toStatuses(raw)
	case Object:
		return o.toObject(raw)
	case Text, Path, AbsolutePath, Output, Foreign:
	}

	s, ok := raw.(string)
	if !ok {
		return nil, fmt.Errorf("%s must be %s, not %s", o.Key, wanted[o.Kind], shown(raw))
	}

	if o.Kind == Path || o.Kind == AbsolutePath || o.Kind == Output && s != StandardOutput {
		return o.toPath(s, dir)
	}

	return s, nil
}

// StandardOutput is the name of a file that is none.
const StandardOutput = "-"

// toPath returns path as an absolute one; an empty one stays empty.
func (o *Option) toPath(path, dir string) (string, error) {
	if path == "" || filepath.IsAbs(path) {
		return clean(path), nil
	}

	if dir == "" {
		return "", fmt.Errorf("%s is %q, relative to the working directory, which does not exist any more: "+
			"write an absolute path", o.Key, path)
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
func (o *Option) toPaths(raw any, dir string) (any, error) {
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

func (o *Option) toPathMap(raw any, dir string) (any, error) {
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
func (o *Option) toHooks(raw any, dir string) (any, error) {
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
var setting = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(^|\s)[A-Za-z_][A-Za-z0-9_]*=`) })

// split returns the settings in a variable of the environment: JSON, or NAME=VALUE
// with blanks or line ends between.
func (o *Option) split(text string) (any, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("%s is no valid JSON: %w", o.Key, err)
		}

		if list, ok := value.([]any); ok {
			return o.toList(list)
		}

		return value, nil
	}

	begins := setting().FindAllStringIndex(text, -1)
	if len(begins) == 0 || begins[0][0] != 0 {
		return nil, fmt.Errorf("%s is %q: it must be NAME=VALUE", o.Key, text)
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

// MaxNumber is the greatest whole number that JSON has in all implementations.
const MaxNumber = 1<<53 - 1

func (o *Option) toInt(raw any, limit int) (int, error) {
	number := math.NaN()
	switch v := raw.(type) {
	case float64:
		number = v
	case string:
		// What is out of range comes as the greatest number.
		if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil || errors.Is(err, strconv.ErrRange) {
			number = float64(n)
		}
	}

	// NaN is not itself.
	if number != math.Trunc(number) {
		return 0, fmt.Errorf("%s must be a whole number%s, not %s", o.Key, o.unit(), shown(raw))
	}

	if math.Abs(number) > float64(limit) {
		return 0, fmt.Errorf("%s must be a whole number up to %d, not %s", o.Key, limit, shown(raw))
	}

	return int(number), nil
}

// unit says what a number counts, if the word in the help that names the value does.
func (o *Option) unit() string {
	_, rest, _ := strings.Cut(o.Help, "`")
	word, _, _ := strings.Cut(rest, "`")

	switch word {
	case "seconds", "bytes", "MB", "requests":
		return " of " + word
	}

	return ""
}

func (o *Option) toFloat(raw any) (any, error) {
	switch v := raw.(type) {
	case float64:
		return v, nil
	case string:
		if n, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
			return n, nil
		}
	}

	return nil, fmt.Errorf("%s must be a number, not %s", o.Key, shown(raw))
}

func (o *Option) toList(raw any) (any, error) {
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
				return nil, fmt.Errorf("%s must be a list of texts, and %s in it is none", o.Key, shown(item))
			}

			list[i] = s
		}

		return list, nil
	}

	return nil, fmt.Errorf("%s must be a list of texts, not %s", o.Key, shown(raw))
}

// toStatuses allows for 200 without quotes, and for an array.
func (o *Option) toStatuses(raw any) (any, error) {
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
			return nil, fmt.Errorf("%s must be %s, not %s", o.Key, wanted[Statuses], shown(raw))
		}
	}

	return strings.Join(texts, ","), nil
}

// toSwitch takes what a flag of two values does, too.
func (o *Option) toSwitch(raw any) (string, error) {
	if s, ok := raw.(string); ok && (s == "" || strings.EqualFold(s, auto)) {
		return strings.ToLower(s), nil
	}

	isOn, err := o.toBool(raw)
	if err != nil {
		return "", fmt.Errorf("%s is %s: it must be %s, %s or %s", o.Key, shown(raw), auto, on, off)
	}

	return strconv.FormatBool(isOn), nil
}

func (o *Option) toBool(raw any) (isOn bool, err error) {
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

	return false, fmt.Errorf("%s must be true or false, not %s", o.Key, shown(raw))
}

// toObject takes a text where there is no JSON, as in the environment.
func (o *Option) toObject(raw any) (any, error) {
	if text, ok := raw.(string); ok {
		if strings.TrimSpace(text) == "" {
			return nil, fmt.Errorf("%s is empty: leave it out, or give it %s", o.Key, wanted[Object])
		}

		if err := json.Unmarshal([]byte(text), &raw); err != nil {
			return nil, fmt.Errorf("%s is no valid JSON: %w", o.Key, err)
		}
	}

	return o.Parse(raw)
}

func (o *Option) toCommand(raw any) (any, error) {
	if list, ok := raw.([]any); ok {
		if len(list) == 0 || list[0] == "" {
			return nil, fmt.Errorf("%s has no program: leave it out, or begin the list with one", o.Key)
		}

		return o.toList(raw)
	}

	s, ok := raw.(string)
	if !ok {
		return nil, fmt.Errorf("%s must be a text or a list of texts, not %s", o.Key, shown(raw))
	}

	argv, err := ParseCommand(s)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", o.Key, err)
	}

	return argv, nil
}

// VariableText returns a value of a variable as it is written in JSON, and whether it is a text, a number or a truth
// value. A million is 1000000, which fmt would make 1e+06.
func VariableText(raw any) (text string, ok bool) {
	switch v := raw.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}

	return "", false
}

func (o *Option) toMap(raw any) (any, error) {
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
			text, ok := VariableText(value)
			if !ok {
				return nil, fmt.Errorf("%s: the value of %s must be a text, not %s", o.Key, name, kindOf(value))
			}

			env[name] = text
		}
	default:
		return nil, fmt.Errorf("%s must be %s, not %s", o.Key, wanted[o.Kind], kindOf(raw))
	}

	return env, nil
}
