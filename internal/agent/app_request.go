package agent

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/scgi"
)

// By SCGI an option is a parameter, PASSENGER_APP_ROOT, which no client can set.
// By HTTP it is a header, X-Passenger-App-Root, which any can: there, the header
// X-Passenger-Options lists those that the web server has set.
const (
	paramPrefix    = "PASSENGER_"
	headerPrefix   = "X-Passenger-"
	passwordParam  = paramPrefix + "PASSWORD"
	passwordHeader = headerPrefix + "Password"
	listHeader     = headerPrefix + "Options"
	remoteUser     = "REMOTE_USER"
	// remoteUserOption is of one request, unlike all others.
	remoteUserOption = "remote_user"
	// maxOptions bounds how many options a request has, and maxOptionBytes how
	// long all of them are.
	maxOptions     = 128
	maxOptionBytes = 64 << 10
)

// errPassword says no more, and nothing of the request counts.
var errPassword = errors.New("the password is missing or wrong")

// appOption is one that the web server has set, by its name in Passenger's
// documentation: app_root.
type appOption struct{ name, value string }

// appRequest is what the web server says of a request beside the request.
type appRequest struct {
	// options are ordered by name, each is there once, and none is empty.
	options    []appOption
	remoteUser string
}

// takeAppRequest also removes from r what is not for applications.
func takeAppRequest(r *http.Request, password *secret) (*appRequest, error) {
	var taken *appRequest
	var err error
	if params := scgi.Params(r); params != nil {
		taken, err = fromParams(params, password)
	} else {
		taken, err = fromHeader(r.Header, password)
	}

	// Also those that the list does not name: a client has sent them.
	for name := range r.Header {
		if strings.HasPrefix(name, headerPrefix) {
			delete(r.Header, name)
		}
	}

	if err != nil {
		return nil, err
	}

	return taken, taken.arrange()
}

func fromParams(params scgi.ParamList, password *secret) (*appRequest, error) {
	if !password.is(params.Get(passwordParam)) {
		return nil, errPassword
	}

	a := &appRequest{remoteUser: params.Get(remoteUser)}
	for _, p := range params {
		if name, ok := strings.CutPrefix(p.Name, paramPrefix); ok && p.Name != passwordParam {
			a.add(strings.ToLower(name), p.Value)
		}
	}

	return a, nil
}

func fromHeader(h http.Header, password *secret) (*appRequest, error) {
	if given := h[passwordHeader]; len(given) != 1 || !password.is(given[0]) {
		return nil, errPassword
	}

	list := h[listHeader]

	// With two of them, one may be from a client, and which one cannot be known.
	if len(list) != 1 {
		return nil, fmt.Errorf("the header %s came %d times: the web server has to set it", listHeader, len(list))
	}

	a := &appRequest{}
	for name := range strings.SplitSeq(list[0], ",") {
		if name = strings.Trim(name, " \t"); name == "" {
			continue
		}

		header := http.CanonicalHeaderKey(headerPrefix + name)
		switch values := h[header]; {
		case header == passwordHeader || header == listHeader:
			return nil, fmt.Errorf("the header %s lists %q, which is no option", listHeader, name)
		case len(values) > 1:
			return nil, fmt.Errorf("the header %s came %d times: the web server has to replace what clients send",
				header, len(values))
		case len(values) == 1:
			a.add(strings.ToLower(strings.ReplaceAll(name, "-", "_")), values[0])
		}
	}

	return a, nil
}

// add ignores an empty value, which is not set.
func (a *appRequest) add(name, value string) {
	switch {
	case value == "":
	case name == remoteUserOption:
		a.remoteUser = value
	default:
		a.options = append(a.options, appOption{name, value})
	}
}

func (a *appRequest) arrange() error {
	if len(a.options) > maxOptions {
		return fmt.Errorf("there are %d options, and there may be %d", len(a.options), maxOptions)
	}

	// The order in which a web server sends them must not make two applications of one.
	slices.SortFunc(a.options, func(x, y appOption) int { return cmp.Compare(x.name, y.name) })

	length := 0
	for i, o := range a.options {
		if i > 0 && o.name == a.options[i-1].name {
			return fmt.Errorf("the option %s is there twice", o.name)
		}

		length += len(o.name) + len(o.value)
	}

	if length > maxOptionBytes {
		return fmt.Errorf("the options have %d bytes, and may have %d", length, maxOptionBytes)
	}

	return nil
}

// key is the same for the same options and no others: neither names nor values
// have a NUL.
func (a *appRequest) key() string {
	var b strings.Builder
	for _, o := range a.options {
		b.WriteString(o.name)
		b.WriteByte(0)
		b.WriteString(o.value)
		b.WriteByte(0)
	}

	return b.String()
}
