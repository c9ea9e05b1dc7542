package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// UnauthorizedError means that the server did not take the caller for a user
// who may do this.
type UnauthorizedError struct {
	Socket string
	// PoolEmpty reports whether there are no applications whose owner one could be.
	PoolEmpty bool
}

func (e *UnauthorizedError) Error() string {
	if e.PoolEmpty {
		return "the server at " + e.Socket +
			" serves no applications, and this needs more rights: call it as root or with a password"
	}

	return "not authorized by the admin API at " + e.Socket +
		": call it as root, as the owner of the application, or with a password"
}

// StatusError is a response with the status of an error.
type StatusError struct {
	Method, Path string
	Status       int
	Header       http.Header
	Body         []byte
	// Code and Message are what the body says, if it is JSON.
	Code, Message string
}

func newStatusError(method, path string, a *Response) *StatusError {
	e := &StatusError{
		Method: method,
		Path:   path,
		Status: a.Status,
		Header: a.Header,
		Body:   a.Body,
	}
	var m message
	if json.Unmarshal(a.Body, &m) == nil {
		e.Code, e.Message = m.Code, m.Message
	}

	return e
}

func (e *StatusError) Error() string {
	text := e.Message
	if text == "" {
		text = http.StatusText(e.Status)
	}

	if e.Code != "" {
		text += " (" + e.Code + ")"
	}

	return fmt.Sprintf("the admin API responded to %s %s with status %d: %s", e.Method, e.Path, e.Status, oneLine(text))
}

// oneLine keeps what a server says from looking like more, or from commanding
// the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}

		return ' '
	}, s)
}

// UntrustedServerError means that the program that listens on the socket is not one that the
// password was not sent.
type UntrustedServerError struct {
	Socket string
	UID    int
}

func (e *UntrustedServerError) Error() string {
	return fmt.Sprintf("user %d listens at %s, and not root, you or the owner of its directory: the password was "+
		"not sent", e.UID, e.Socket)
}
