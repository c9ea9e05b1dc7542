// Package errorpage makes the pages that show an error to clients: as HTML, JSON or text, with or without
// details. It hides what looks secret. Which error has which status and message is decided by package handler.
package errorpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"sync"
	texttemplate "text/template"

	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/spawner"
)

var (
	//go:embed style.css
	pageStyle string
	//go:embed message.css
	messageStyle string
	//go:embed page.html
	pageSource string
	//go:embed failure.html
	failureSource string
	//go:embed page.txt
	textSource string
)

// pageTemplate is made for the first page: parsing takes longer than all else at the start of a program.
var pageTemplate = sync.OnceValue(func() *template.Template {
	page := template.New("page").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(pageStyle) }, //nolint:gosec // G203: it is ours
		// A string, which is escaped for the attribute that it stands in.
		"messageStyle": func() string { return "<style>" + messageStyle + "</style>" },
	})

	return template.Must(template.Must(page.Parse(pageSource)).Parse(failureSource))
})

var textTemplate = sync.OnceValue(func() *texttemplate.Template {
	return texttemplate.Must(texttemplate.New("text").Parse(textSource))
})

// policy allows a page its own styles and nothing else. HTML that the application reports is in a frame, which inherits
// it. The empty icon keeps browsers from asking the broken application for one.
var policy = sync.OnceValue(func() string {
	return "default-src 'none'; img-src data:; style-src '" + sourceHash(pageStyle) + "' '" +
		sourceHash(messageStyle) + "'; base-uri 'none'; form-action 'none'"
})

// Policy is the Content-Security-Policy of each page.
func Policy() string { return policy() }

func sourceHash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Page is what a client sees of an error, in any format.
type Page struct {
	Status  int    `json:"status"`
	Title   string `json:"title"`
	Message string `json:"message"`
	// ErrorID is the ID under which the log has the error; empty means none.
	ErrorID string `json:"errorId,omitempty"`
	// Details are set by ShowDetails; nil means that the page has none.
	Details any `json:"details,omitempty"`

	// Failure is a start that failed, Cause the text of another error. Both are for templates.
	Failure *failure `json:"-"`
	Cause   string   `json:"-"`
	// Policy is set on a page without a response around it.
	Policy string `json:"-"`
}

// New returns a page without details. The message is one sentence.
func New(status int, message string) *Page {
	return &Page{Status: status, Title: http.StatusText(status), Message: message}
}

// ShowDetails adds what is known of the error.
func (p *Page) ShowDetails(err error) {
	if e, ok := errors.AsType[*spawner.SpawnError](err); ok {
		p.Failure = newFailure(e)
		p.Details = p.Failure
		return
	}

	// No environment is known of other errors.
	p.Cause = redact.New(nil).Text(err.Error())
	p.Details = struct {
		Error string `json:"error"`
	}{p.Cause}
}

// Render returns the page in a format.
func (p *Page) Render(f Format) (body []byte, contentType string) {
	var b bytes.Buffer

	var err error
	switch f {
	case HTML:
		err, contentType = pageTemplate().Execute(&b, p), "text/html; charset=utf-8"
	case JSON:
		err, contentType = json.NewEncoder(&b).Encode(p), "application/json"
	case Text:
		err, contentType = textTemplate().Execute(&b, p), "text/plain; charset=utf-8"
	}

	if err != nil {
		return []byte(p.Message + "\n"), "text/plain; charset=utf-8"
	}

	return b.Bytes(), contentType
}

// RenderFile returns the page as an HTML file, with its policy inside.
func (p *Page) RenderFile() ([]byte, error) {
	file := *p
	// Other pages have their policy in the header of the response.
	file.Policy = policy()
	var b bytes.Buffer
	err := pageTemplate().Execute(&b, &file)

	return b.Bytes(), err
}
