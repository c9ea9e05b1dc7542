package handler

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gopassenger/passenger/internal/httphead"
)

// methodFault says how a method is answered that no application may see. It would be a
// part of the request line, and by HTTP/2 it may be anything: net/http does not look.
func methodFault(err error) error {
	refusal, ok := errors.AsType[*httphead.Error](err)
	if ok && refusal.Status == http.StatusNotImplemented {
		return fmt.Errorf("%w: %w", errMethod, err)
	}

	return fmt.Errorf("%w: %w", errBadRequest, err)
}

// checkFraming refuses what net/http lets through of the fields that say what a body is:
// two types, and by HTTP/2 any lengths.
func checkFraming(h http.Header) error {
	if len(h["Content-Type"]) > 1 {
		return errBadRequest
	}

	if lengths := h["Content-Length"]; len(lengths) > 1 || len(lengths) == 1 && !httphead.ValidLength(lengths[0]) {
		return errBadRequest
	}

	return nil
}
