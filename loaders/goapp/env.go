package goapp

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// Env returns the variables that the server set for this request, such as REMOTE_USER, or nil if
// there are none. They come in a header that no client can send through Passenger. Do not trust
// them in a program that was started by hand.
func Env(r *http.Request) map[string]string {
	b, err := base64.StdEncoding.DecodeString(r.Header.Get("!~Passenger-Envvars"))
	if err != nil || len(b) == 0 {
		return nil
	}

	fields := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	if len(fields)%2 != 0 {
		return nil
	}

	env := make(map[string]string, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		env[fields[i]] = fields[i+1]
	}

	return env
}
