package ustrouter

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// Headers are header fields by name. Their values may be secrets, and so they do
// not show themselves when they are printed, logged or written as JSON; as a
// map[string]string they do.
type Headers map[string]string

// Format prints the names, whatever the verb.
func (h Headers) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, h.names()) }

// MarshalJSON writes the names only.
func (h Headers) MarshalJSON() ([]byte, error) { return json.Marshal(h.names()) }

// MarshalLog is what a logger writes: the names.
func (h Headers) MarshalLog() any { return h.names() }

func (h Headers) names() []string { return slices.Sorted(maps.Keys(h)) }

// ours are the fields that must not be configured.
var ours = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Host", "Te", "Trailer", "Transfer-Encoding",
	"Upgrade",
}

func (h Headers) validate() error {
	var errs []error

	seen := map[string]bool{}
	for _, name := range h.names() {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpfield.IsToken(name):
			errs = append(errs, fmt.Errorf("%q cannot be the name of a header for the collector of transactions", name))
		case slices.Contains(ours, canonical):
			errs = append(errs, fmt.Errorf("the header %s for the collector of transactions cannot be changed", name))
		case seen[canonical]:
			errs = append(errs, fmt.Errorf("the header %s for the collector of transactions is there twice", canonical))
		case !isFieldValue(h[name]):
			errs = append(errs, fmt.Errorf("the value of the header %s for the collector of transactions has "+
				"control characters, or spaces around it", name))
		}

		seen[canonical] = true
	}

	return errors.Join(errs...)
}

// isFieldValue reports whether what is sent is s and nothing less.
func isFieldValue(s string) bool { return httpfield.ValidValue(s) && strings.Trim(s, " \t") == s }
