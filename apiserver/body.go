package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// maxBody is how many bytes a body may have.
const maxBody = 128 << 10

// tooLarge reads for a while after its response: to close the connection on what was not read would
// lose the response.
func (c *call) tooLarge() {
	c.fail(http.StatusRequestEntityTooLarge, "", fmt.Sprintf("the body has more than %d bytes", maxBody))
	_ = http.NewResponseController(c.w).Flush() // where it cannot, reading on is in vain
	_, _ = io.CopyN(io.Discard, c.r.Body, maxBody)
}

// decode reads the body, which is an object, or writes an error that says what is wrong with it.
func (c *call) decode(into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			c.tooLarge()
		} else {
			c.fail(http.StatusBadRequest, "", "the body cannot be read to its end")
		}

		return false
	}

	// What is left to do may take long, and the server looks for the client's end.
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{}) // none was set where none can be
	if len(bytes.TrimSpace(body)) == 0 {
		c.fail(http.StatusBadRequest, "", "the request needs a body of JSON")
		return false
	}

	err = json.Unmarshal(body, into)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		what := "the body"
		if e.Field != "" {
			what = "the field " + e.Field
		}

		c.fail(http.StatusBadRequest, "", what+" cannot be "+withArticle(e.Value))

		return false
	}

	if err != nil {
		c.fail(http.StatusUnprocessableEntity, "", "the body is no valid JSON: "+err.Error())
		return false
	}

	return true
}

// withArticle returns what encoding/json calls a value, as a sentence has it.
func withArticle(kind string) string {
	if kind == "array" || kind == "object" {
		return "an " + kind
	}

	return "a " + kind
}

// flag reads a parameter of the query, or writes an error. Passenger's
// tools leave the value out for no.
func (c *call) flag(query url.Values, name string) (on, ok bool) {
	switch value := query.Get(name); value {
	case "", "false", "0", "no", "off":
		return false, true
	case "true", "1", "yes", "on":
		return true, true
	}

	c.fail(http.StatusBadRequest, "", "the parameter "+name+" is neither true nor false")

	return false, false
}
