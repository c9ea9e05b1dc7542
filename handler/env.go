package handler

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// Env are variables for one request, which its application finds beside those that describe the request.
//
// By the session protocol, as in Ruby and Python, they are in the CGI environment. By HTTP, a variable HTTP_X_PLAN is
// the field X-Plan, as in CGI, and all of them are in the field "!~Passenger-Envvars", which no client can send: as
// Base64 of names and values with a NUL behind each. Package loaders/goapp decodes it by Env, and our loader of Node.js
// by PhusionPassenger.requestEnv.
type Env map[string]string

// envHeader has the Env of a request by HTTP.
const envHeader = "!~Passenger-Envvars"

type envKey struct{}

// WithEnv returns a context for a request that has a copy of env, besides the variables that ctx has already. A
// variable wins over a field of the client that would have the same name. A variable that only the server may set, as
// PATH_INFO or HTTP_HOST, or whose name or value cannot be sent, fails the request; see [Env.Validate].
func WithEnv(ctx context.Context, env Env) context.Context {
	before, _ := ctx.Value(envKey{}).(Env)

	both := make(Env, len(before)+len(env))
	maps.Copy(both, before)
	maps.Copy(both, env)

	return context.WithValue(ctx, envKey{}, both)
}

// errEnv is a fault of the program that the handler is in.
var errEnv = errors.New("the request's environment cannot be forwarded")

// ownVariables describe the request. Only the handler sets them.
var ownVariables = []string{
	"REQUEST_URI", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT",
	"SERVER_SOFTWARE", "SERVER_PROTOCOL", "REMOTE_ADDR", "REMOTE_PORT", "CONTENT_TYPE", "CONTENT_LENGTH",
	"PASSENGER_CONNECT_PASSWORD", "HTTPS", "HTTP_CONNECTION", "HTTP_UPGRADE", "HTTP_HOST", "HTTP_X_REQUEST_ID",
	"HTTP_X_REQUEST_START",
}

// Validate reports a variable that fails each request with it: one that only the server sets, or whose name or value
// cannot be sent.
func (e Env) Validate() error {
	for name, value := range e {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.IndexByte(value, 0) >= 0 {
			return fmt.Errorf("the variable %q has a name or value that no environment can have: the name is empty or "+
				"has a =, or there is a NUL", name)
		}

		if slices.Contains(ownVariables, name) {
			return fmt.Errorf("only the server sets %s: use another name", name)
		}
	}

	return nil
}

func envOf(ctx context.Context) (Env, error) {
	env, _ := ctx.Value(envKey{}).(Env)
	if err := env.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", errEnv, err)
	}

	return env, nil
}

// replaces reports whether a variable has the name that the field would have.
func (e Env) replaces(field string) bool {
	if len(e) == 0 {
		return false
	}

	_, ok := e["HTTP_"+strings.ReplaceAll(httpfield.Upper(field), "-", "_")]

	return ok
}

// appendFields writes the variables as fields of a request by HTTP.
func (e Env) appendFields(b []byte) []byte {
	for _, variable := range slices.Sorted(maps.Keys(e)) {
		if name := fieldOf(variable); name != "" && httpfield.ValidValue(e[variable]) {
			b = appendField(b, wireName(name), e[variable])
		}
	}

	return appendField(b, envHeader, e.encode())
}

// fieldOf returns the field that a variable stands for; empty means that it stands for none, or for one that only the
// handler sets.
func fieldOf(variable string) string {
	name, ok := strings.CutPrefix(variable, "HTTP_")
	if !ok {
		return ""
	}

	name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	if !httpfield.IsPlain(name) || isReserved(name) {
		return ""
	}

	return name
}

// encode returns the value of envHeader, the same for the same Env.
func (e Env) encode() string {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(e)) {
		b = append(append(b, name...), 0)
		b = append(append(b, e[name]...), 0)
	}

	return base64.StdEncoding.EncodeToString(b)
}
