package apiserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// NotReadyError says why a program should get no requests. It is the body of
// GET /readyz then, as JSON.
type NotReadyError struct {
	Reason string `json:"reason"`
	// Applications are those that do not serve; none where the program as a whole
	// is not ready.
	Applications []UnreadyApp `json:"applications,omitempty"`
}

// UnreadyApp is an application of which no process serves.
type UnreadyApp struct {
	// Name is that of its group in the pool, Root its directory.
	Name string `json:"name"`
	Root string `json:"root"`
	// Reason is one sentence. ErrorID, which is empty while the first start is in
	// progress, finds the failed start in the log.
	Reason  string `json:"reason"`
	ErrorID string `json:"error_id,omitempty"`
}

func (e *NotReadyError) Error() string {
	reasons := make([]string, 0, len(e.Applications))
	for _, app := range e.Applications {
		reasons = append(reasons, app.Name+": "+app.Reason)
	}

	if len(reasons) == 0 {
		return e.Reason
	}

	return e.Reason + ": " + strings.Join(reasons, "; ")
}

// readyBody is what GET /readyz shows of err. A reason that is no NotReadyError may
// have anything in it, and is not shown.
func readyBody(err error) (contentType string, body []byte) {
	if reason, ok := errors.AsType[*NotReadyError](err); ok {
		if b, err := json.Marshal(reason); err == nil {
			return jsonType, append(b, '\n')
		}
	}

	return textType, []byte("not ready\n")
}

// Health responds to GET /livez with 200 for as long as the program responds at all,
// and GET /readyz with 200 when ready returns nil, which it also is if it is
// nil, and else with 503. A NotReadyError is shown as JSON, another error is not
// shown. It asks for no password: mount it where everybody may call it.
func Health(ready func() error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeResponse(w, http.StatusOK, textType,
			[]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready != nil {
			if err := ready(); err != nil {
				contentType, body := readyBody(err)
				writeResponse(w, http.StatusServiceUnavailable, contentType, body)
				return
			}
		}

		writeResponse(w, http.StatusOK, textType, []byte("ok\n"))
	})

	return mux
}

func (c *call) live() { c.text("ok\n") }

// ready gives the reason to callers that may inspect the server.
func (c *call) ready() {
	var err error
	if c.cfg.Ready != nil {
		err = c.cfg.Ready()
	}

	switch {
	case err == nil:
		c.text("ok\n")
	case !c.rights.inspect:
		c.write(http.StatusServiceUnavailable, textType, []byte("not ready\n"))
	default:
		contentType, body := readyBody(err)
		if contentType == textType {
			body = []byte("not ready: " + err.Error() + "\n")
		}

		c.write(http.StatusServiceUnavailable, contentType, body)
	}
}
