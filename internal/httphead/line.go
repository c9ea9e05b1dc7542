package httphead

import (
	"bytes"
	"unsafe"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// targetParts are what was found of a target.
type targetParts struct {
	// absolute reports whether it is a whole URL, and host is the one in it.
	absolute bool
	host     []byte
}

func (h *Head) parseRequestLine(line []byte, limits *Limits) error {
	space := bytes.IndexByte(line, ' ')
	last := bytes.LastIndexByte(line, ' ')
	if space < 0 || space == last {
		return errRequestLine
	}

	h.Method, h.Target = line[:space], line[space+1:last]
	if err := checkMethod(h.Method); err != nil {
		return err
	}

	if limits.Target > 0 && len(h.Target) > limits.Target {
		return errLongTarget
	}

	if err := h.parseVersion(line[last+1:]); err != nil {
		return err
	}

	return h.parseTarget()
}

func checkMethod(method []byte) error {
	if string(method) == "CONNECT" {
		return errConnect
	}

	return CheckMethod(view(method))
}

// CheckMethod returns the error of a method that [Head.Parse] refuses in any server; nil if
// it does not.
func CheckMethod(method string) error {
	switch {
	case !httpfield.IsToken(method):
		return errMethod
	case len(method) > MaxMethod:
		return errLongMethod
	}

	return nil
}

// view is b as a string, as long as b does not change.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), //nolint:gosec // G103: it does not outlive the call that it is made for
		len(b))
}

func (h *Head) parseVersion(text []byte) error {
	const form = "HTTP/1."
	if len(text) != len(form)+1 || string(text[:5]) != form[:5] || text[6] != '.' || !httpfield.IsDigit(text[5]) ||
		!httpfield.IsDigit(text[7]) {
		return errVersion
	}

	if text[5] != '1' || text[7] > '1' {
		return errOtherVersion
	}

	h.Minor = text[7] - '0'

	return nil
}

// parseTarget takes a path, with a query perhaps, a URL that has one, and the asterisk of
// OPTIONS.
func (h *Head) parseTarget() error {
	h.target = targetParts{}

	target := h.Target
	for _, c := range target {
		if !httpfield.IsTargetByte(c) {
			// There are more than two spaces in the line.
			if c == ' ' {
				return errRequestLine
			}

			return errTargetByte
		}
	}

	switch {
	case len(target) == 0:
		return errRequestLine
	case target[0] == '/':
		return nil
	case string(target) == "*":
		if string(h.Method) != "OPTIONS" {
			return errTarget
		}

		return nil
	}

	scheme, rest, ok := bytes.Cut(target, []byte("://"))
	if !ok || !httpfield.EqualFold(view(scheme), "http") && !httpfield.EqualFold(view(scheme), "https") {
		return errTarget
	}

	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}

	h.target = targetParts{absolute: true, host: rest[:end]}
	if end == 0 || !httpfield.ValidHost(view(h.target.host)) {
		return errTarget
	}

	return nil
}

// parseField reads a line without its end.
func parseField(line []byte) (f Field, err error) {
	i := 0
	for i < len(line) && httpfield.IsTokenByte(line[i]) {
		i++
	}

	switch {
	case len(line) > 0 && (line[0] == ' ' || line[0] == '\t'):
		return f, errFolded
	case i == 0 || i == len(line) || line[i] != ':':
		return f, errName
	}

	f.Name, f.Value = line[:i], trim(line[i+1:])
	if !httpfield.ValidValue(view(f.Value)) {
		return f, errValue
	}

	if !httpfield.ValidEnds(view(f.Value)) {
		return f, errValueEnd
	}

	return f, nil
}

func trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}

	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}

	return v
}
