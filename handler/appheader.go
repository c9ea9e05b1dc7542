package handler

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// errAppHeader is a fault of the program's observer.
var errAppHeader = errors.New("a header that the observer has set is not sent to the application")

// checkAppHeader returns the fields of a RequestEvent that can be sent, by canonical names. A field that cannot be sent
// fails no request, as it is about watching and not about serving: it is left out and logged.
func (h *Handler) checkAppHeader(set textproto.MIMEHeader) http.Header {
	if len(set) == 0 {
		return nil
	}

	header := make(http.Header, len(set))
	for name, values := range set {
		// Another name could become the same variable as a field of the client.
		if !httpfield.IsPlain(name) {
			h.leaveOut(name, "its name has other characters than letters, digits and dashes")
			continue
		}

		name = textproto.CanonicalMIMEHeaderKey(name)
		if isReserved(name) {
			h.leaveOut(name, "only the handler sets it")
			continue
		}

		// An entry without values counts as well: the client's field of that name is not sent.
		sendable := slices.Clone(values)
		if slices.ContainsFunc(values, func(v string) bool { return !httpfield.ValidValue(v) }) {
			// The value may be a secret.
			h.leaveOut(name, "its value has a control character")
			sendable = nil
		}

		header[name] = append(header[name], sendable...)
	}

	return header
}

func (h *Handler) leaveOut(name, reason string) {
	h.badAppHeader.Tell(func(more int) {
		err := fmt.Errorf("%w: %s", errAppHeader, reason)
		h.cfg.Logger.Error(err, "a header of the observer was left out", "app", h.appName(), "header", name, "more",
			more)
	})
}

// isReserved reports whether the handler writes the field, it is about a connection, or it must not reach an
// application.
func isReserved(name string) bool {
	return hopByHop[name] || notCopied[name] || name == forwardedFor || name == forwardedProto
}

// replaces reports whether own has a field of that name, which the client's gives way to. Middleware may have set the
// latter by a name that is not canonical.
func replaces(own http.Header, name string) bool {
	if len(own) == 0 {
		return false
	}

	_, ok := own[textproto.CanonicalMIMEHeaderKey(name)]

	return ok
}

// traceHeaders are fields that observers set to have a request followed. Responses do not depend on them.
var traceHeaders = map[string]bool{
	"Traceparent": true, "Tracestate": true, "Baggage": true, "B3": true, "Uber-Trace-Id": true,
	"X-Amzn-Trace-Id":       true,
	"X-Cloud-Trace-Context": true, "X-B3-Traceid": true, "X-B3-Spanid": true, "X-B3-Parentspanid": true,
	"X-B3-Sampled": true, "X-B3-Flags": true,
}

// onlyTraces reports whether no response depends on the observer's fields, so that the turbocache may keep it.
func onlyTraces(own http.Header) bool {
	for name := range own {
		if !traceHeaders[name] {
			return false
		}
	}

	return true
}
