package handler

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
)

// errAppHeader is the fault of the program's observer.
var errAppHeader = errors.New("a header that the observer has set is not sent to the application")

// checkAppHeader returns the headers of a RequestEvent that can be sent, by their
// canonical names. One that cannot be sent costs no request, as it is about watching
// and not about serving: it is left out, and the log tells.
func (h *Handler) checkAppHeader(set textproto.MIMEHeader) http.Header {
	if len(set) == 0 {
		return nil
	}

	header := make(http.Header, len(set))
	for name, values := range set {
		// Others could become the same variable as a header of the client's.
		if !plainName(name) {
			h.leaveOut(name, "its name has other characters than letters, digits and dashes")
			continue
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if handlersHeader(name) {
			h.leaveOut(name, "only the handler sets it")
			continue
		}

		// An entry without values counts as well: nothing of the client's goes by its name.
		sendable := slices.Clone(values)
		if slices.ContainsFunc(values, func(v string) bool { return !validValue(v) }) {
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
		h.cfg.Logger.Error(err, "A header of the observer is left out", "app", h.appName(), "header", name, "more", more)
	})
}

// handlersHeader: the handler writes it, it is about a connection, or it must not reach
// an application.
func handlersHeader(name string) bool {
	return hopByHop[name] || notCopied[name] || name == "X-Forwarded-For" || name == "X-Forwarded-Proto"
}

// yieldOwn yields the headers that have values.
func yieldOwn(own http.Header, yield func(name string, values []string)) {
	for name, values := range own {
		if len(values) > 0 {
			yield(name, values)
		}
	}
}

// replaced: own has the place of the client's header. Middleware may have set that by a
// name that is not canonical.
func replaced(own http.Header, name string) bool {
	if len(own) == 0 {
		return false
	}
	_, ok := own[textproto.CanonicalMIMEHeaderKey(name)]

	return ok
}

// tellsTheUser: what the application responds may be for one user only, as the headers
// say that the turbocache goes by.
func tellsTheUser(own http.Header) bool {
	return replaced(own, "Authorization") || replaced(own, "Cookie")
}
