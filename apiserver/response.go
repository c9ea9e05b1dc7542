package apiserver

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

const (
	textType    = "text/plain; charset=utf-8"
	xmlType     = "text/xml; charset=utf-8"
	jsonType    = "application/json"
	metricsType = "text/plain; version=0.0.4; charset=utf-8"
)

// The times that a client may take to send its body and to read the response, for
// which the server may wait for the rest of the body first.
const (
	bodyTimeout     = 30 * time.Second
	responseTimeout = bodyTimeout + 30*time.Second
)

// limitTime ends reading even where no handler reads the body, which the
// server reads before the next request then.
func (c *call) limitTime() {
	if c.r.ContentLength != 0 {
		// without it, the server's own counts
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
}

func (c *call) write(status int, contentType string, body []byte) {
	writeResponse(c.w, status, contentType, body)
}

func writeResponse(w http.ResponseWriter, status int, contentType string, body []byte) {
	// without it, the server's own counts
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(responseTimeout))
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}

func (c *call) text(s string) { c.write(http.StatusOK, textType, []byte(s)) }

func (c *call) json(status int, value any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		c.cfg.Logger.Error(err, "a response of the admin API is no JSON", "path", c.r.URL.Path)
		c.fail(http.StatusInternalServerError, "", "the response cannot be written as JSON")
		return
	}

	c.write(status, jsonType, b.Bytes())
}

type message struct {
	Status  string `json:"status"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

func (c *call) ok() { c.json(http.StatusOK, message{Status: "ok"}) }

// fail writes an error, which may have a code for programs.
func (c *call) fail(status int, code, text string) {
	c.json(status, message{Status: "error", Code: code, Message: text})
}

func (c *call) missing(what string) {
	c.fail(http.StatusNotImplemented, "", "this server cannot "+what)
}
