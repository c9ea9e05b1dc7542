package handler

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	texttemplate "text/template"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/spawner"
)

var (
	//go:embed errorpage/style.css
	pageStyle string
	//go:embed errorpage/message.css
	messageStyle string
	//go:embed errorpage/page.html
	pageSource string
	//go:embed errorpage/failure.html
	failureSource string
	//go:embed errorpage/page.txt
	textSource string
)

var pageTemplate = template.Must(template.Must(template.New("page").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(pageStyle) }, //nolint:gosec // G203: it is ours
	// A string, which is escaped for the attribute that it stands in.
	"messageStyle": func() string { return "<style>" + messageStyle + "</style>" },
}).Parse(pageSource)).Parse(failureSource))

var textTemplate = texttemplate.Must(texttemplate.New("text").Parse(textSource))

// pagePolicy allows the page its own styles and nothing else. What the
// application says as HTML is in a frame, which inherits it. The empty icon
// keeps browsers from asking the broken application for one.
var pagePolicy = "default-src 'none'; img-src data:; style-src '" + sourceHash(pageStyle) + "' '" +
	sourceHash(messageStyle) +
	"'; base-uri 'none'; form-action 'none'"

func sourceHash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// errorPage is what a client is told of an error, in any format.
type errorPage struct {
	Status  int    `json:"status"`
	Title   string `json:"title"`
	Message string `json:"message"`
	ErrorID string `json:"errorId,omitempty"`
	// Details are Failure or Cause; nil: they are not to be shown.
	Details any `json:"details,omitempty"`
	// Failure is a start that failed.
	Failure *failure `json:"-"`
	// Cause is the text of another error.
	Cause string `json:"-"`
	// Policy is a Content-Security-Policy for a page without a response around it.
	Policy string `json:"-"`
}

func newErrorPage(o *outcome, err error, details bool) *errorPage {
	p := &errorPage{Status: o.status, Title: http.StatusText(o.status), Message: o.message}
	e, ok := errors.AsType[*spawner.SpawnError](err)
	if ok {
		p.ErrorID = e.ID
	} else if full, ok := errors.AsType[*passenger.QueueFullError](err); ok {
		p.ErrorID = full.ID
	}

	switch {
	case !details:
	case ok:
		p.Failure = newFailure(e)
		p.Details = p.Failure
	default:
		p.Cause = redact.New(nil).Text(err.Error())
		p.Details = struct {
			Error string `json:"error"`
		}{p.Cause}
	}

	return p
}

// ErrorReport returns the page with details of a failed start as a file, for those who
// run the server. Secrets of the environment are hidden in it.
func ErrorReport(e *spawner.SpawnError) ([]byte, error) {
	status := http.StatusInternalServerError
	p := newErrorPage(&outcome{status: status, message: "The application could not be started."}, e, true)
	p.Policy = pagePolicy
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, p)

	return b.Bytes(), err
}

func (p *errorPage) render(f format) (body []byte, contentType string) {
	var b bytes.Buffer

	var err error
	switch f {
	case formatHTML:
		err, contentType = pageTemplate.Execute(&b, p), "text/html; charset=utf-8"
	case formatJSON:
		err, contentType = json.NewEncoder(&b).Encode(p), "application/json"
	case formatText:
		err, contentType = textTemplate.Execute(&b, p), "text/plain; charset=utf-8"
	}

	if err != nil {
		return []byte(p.Message + "\n"), "text/plain; charset=utf-8"
	}

	return b.Bytes(), contentType
}
