package handler

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gopassenger/passenger/internal/httphead"
)

// methodError returns the error for a method that no application may see. It would be a part of the request line, and
// by HTTP/2 it may be anything: net/http does not check it.
func methodError(err error) error {
	refusal, ok := errors.AsType[*httphead.Error](err)
	if ok && refusal.Status == http.StatusNotImplemented {
		return fmt.Errorf("%w: %w", errMethod, err)
	}

	return fmt.Errorf("%w: %w", errBadRequest, err)
}

// checkFraming refuses what net/http allows of the fields that describe a body: two types, and by HTTP/2 any lengths.
func checkFraming(h http.Header) error {
	if len(h["Content-Type"]) > 1 {
		return errBadRequest
	}

	if lengths := h["Content-Length"]; len(lengths) > 1 || len(lengths) == 1 && !httphead.ValidLength(lengths[0]) {
		return errBadRequest
	}

	return nil
}
