package apiserver

import "net/http"

// Health answers GET /livez with 200 for as long as the program answers at all,
// and GET /readyz with 200 when ready returns nil, which it also is if it is
// nil, and else with 503. It asks for no password and shows no reason: mount it
// where everybody may call it.
func Health(ready func() error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeAnswer(w, http.StatusOK, textType, []byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready != nil && ready() != nil {
			writeAnswer(w, http.StatusServiceUnavailable, textType, []byte("not ready\n"))
			return
		}
		writeAnswer(w, http.StatusOK, textType, []byte("ok\n"))
	})
	return mux
}

func (c *call) live() { c.text("ok\n") }

// ready tells the reason to who may inspect the server.
func (c *call) ready() {
	var err error
	if c.cfg.Ready != nil {
		err = c.cfg.Ready()
	}
	switch {
	case err == nil:
		c.text("ok\n")
	case c.rights.inspect:
		c.write(http.StatusServiceUnavailable, textType, []byte("not ready: "+err.Error()+"\n"))
	default:
		c.write(http.StatusServiceUnavailable, textType, []byte("not ready\n"))
	}
}
