// Package unittest shows how to test handlers that have an application behind
// them, without that application: see the test.
package unittest

import (
	"net/http"
	"strings"
)

// Front is a handler as a user of the library may write one: it responds for
// robots itself and passes everything else on.
func Front(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.UserAgent(), "robot") {
			http.Error(w, "no robots", http.StatusForbidden)
			return
		}

		r.Header.Set("X-Front", "yes")
		app.ServeHTTP(w, r)
	})
}
