// Package dashboard is the page that shows an instance and its applications to people: live, and without a request to
// another server. It asks the instance only while there are viewers.
package dashboard

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
)

// Path is where the page is. All other paths are below it.
const Path = "/dashboard"

// Access is what a viewer may do.
type Access int

// The kinds of access.
const (
	None Access = iota
	Look
	// Change is Look, and to restart applications and detach processes.
	Change
)

// Door decides who may do what.
type Door interface {
	// Admit returns what the sender of a request may do. If that is less than needed, Admit has responded.
	Admit(w http.ResponseWriter, r *http.Request, needed Access) Access
	// SignIn reports whether a viewer who may only look can get more rights at Path + "?sign-in".
	SignIn() bool
}

// Config is what a page is made of.
type Config struct {
	Source Source
	Door   Door
	// Title names the instance; may be empty.
	Title string
	// Logger gets each order, and why there is nothing to show.
	Logger logr.Logger
}

// Handler serves the page and all that belongs to it.
type Handler struct {
	cfg     Config
	hub     *hub
	routes  map[string]route
	origins *http.CrossOriginProtection
}

type route struct {
	method string
	needed Access
	serve  func(h *Handler, w http.ResponseWriter, r *http.Request, access Access)
}

//go:embed assets
var assets embed.FS

// New returns a page.
func New(cfg Config) *Handler {
	h := &Handler{
		cfg:     cfg,
		hub:     newHub(cfg.Source, cfg.Title, cfg.Logger),
		origins: http.NewCrossOriginProtection(),
		routes: map[string]route{
			Path:               {http.MethodGet, Look, (*Handler).page},
			Path + "/app":      {http.MethodGet, Look, (*Handler).page},
			Path + "/events":   {http.MethodGet, Look, (*Handler).events},
			Path + "/failure":  {http.MethodGet, Look, (*Handler).failure},
			Path + "/incident": {http.MethodGet, Look, (*Handler).incident},
			Path + "/restart":  {http.MethodPost, Change, (*Handler).restart},
			Path + "/detach":   {http.MethodPost, Change, (*Handler).detach},
		},
	}

	files, _ := assets.ReadDir("assets") // they are embedded
	for _, f := range files {
		if f.Name() != pageFile {
			h.routes[Path+"/"+f.Name()] = route{http.MethodGet, Look, (*Handler).asset}
		}
	}

	return h
}

const (
	pageFile = "page.html"
	// policy keeps the page from loading and sending anything but its own, whatever an application's texts say.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	// maxOrder is how many bytes an order may have.
	maxOrder = 16 << 10
)

// ServeHTTP serves the page.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")

	// The address is also that of probes, and there are few connections: none is kept for a page that has its files.
	header.Set("Connection", "close")

	at, ok := h.routes[r.URL.Path]

	// At the address of the list: browsers send a password again to what is beside and below the page that asked.
	if r.URL.Path == Path && r.URL.Query().Has("sign-in") {
		at = route{http.MethodGet, Change, (*Handler).signIn}
	}

	if !ok {
		http.Error(w, "there is no such page", http.StatusNotFound)
		return
	}

	if r.Method != at.method && (r.Method != http.MethodHead || at.method != http.MethodGet) {
		header.Set("Allow", at.method)
		http.Error(w, "this path takes "+at.method, http.StatusMethodNotAllowed)

		return
	}

	// Browsers send the cookies and passwords they know along with what other sites ask for.
	if h.origins.Check(r) != nil {
		http.Error(w, "requests made by the pages of other sites are refused", http.StatusForbidden)
		return
	}

	if access := h.cfg.Door.Admit(w, r, at.needed); access >= at.needed {
		at.serve(h, w, r, access)
	}
}

// page serves the page of all applications, or of one: what it shows comes as events.
func (h *Handler) page(w http.ResponseWriter, _ *http.Request, access Access) {
	body, _ := assets.ReadFile("assets/" + pageFile) // it is embedded

	// Not in the events, which all viewers share.
	allowed := `data-may="look"`
	switch {
	case access == Change:
		allowed = `data-may="change"`
	case h.cfg.Door.SignIn():
		allowed += ` data-sign-in="yes"`
	}

	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(bytes.Replace(body, []byte("data-may"), []byte(allowed), 1)) // the viewer may have gone
}

func (*Handler) asset(w http.ResponseWriter, r *http.Request, _ Access) {
	body, _ := assets.ReadFile("assets/" + path.Base(r.URL.Path)) // the routes have no others

	// Not by the tables of the system, which may say something else.
	types := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	w.Header().Set("Content-Type", types[path.Ext(r.URL.Path)])
	_, _ = w.Write(body) //nolint:gosec // G705: it is embedded
}

// signIn is for viewers that the door has asked for a password.
func (*Handler) signIn(w http.ResponseWriter, r *http.Request, _ Access) {
	http.Redirect(w, r, Path, http.StatusSeeOther)
}

// events sends what there is to see, until the viewer or the server leaves, or the viewer does not read.
func (h *Handler) events(w http.ResponseWriter, r *http.Request, _ Access) {
	query := r.URL.Query()

	v, err := h.hub.join(topicKey{query.Has("app"), query.Get("app")}) //nolint:contextcheck // it outlives a viewer
	if err != nil {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "there are "+strconv.Itoa(MaxViewers)+" viewers already: close a page that shows the dashboard",
			http.StatusServiceUnavailable)

		return
	}

	defer h.hub.leave(v)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for more

	control := http.NewResponseController(w)
	send := func(event []byte) bool {
		// A writer without deadlines is one that keeps none waiting.
		_ = control.SetWriteDeadline(time.Now().Add(maxStall))
		_, err := w.Write(event)

		return err == nil && control.Flush() == nil
	}

	// HEAD asks why an event source was refused, which does not say so.
	if r.Method == http.MethodHead || !send([]byte("retry: 2000\n\n")) {
		return
	}

	for {
		select {
		case event, more := <-v.events:
			if !more || !send(event) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// failure sends the report of a failed start.
func (h *Handler) failure(w http.ResponseWriter, r *http.Request, _ Access) {
	id := r.URL.Query().Get("id")

	all, err := h.cfg.Source.Failures(r.Context())
	if err == nil {
		err = fs.ErrNotExist
	}

	for i := range all {
		if all[i].ID == id {
			h.json(w, all[i])
			return
		}
	}

	h.fail(w, err, "this failed start is not known any more: only the last ones are kept")
}

// incident sends what was recorded of an incident.
func (h *Handler) incident(w http.ResponseWriter, r *http.Request, _ Access) {
	incident, err := h.cfg.Source.Incident(r.Context(), r.URL.Query().Get("id"))
	if err != nil {
		h.fail(w, err, "this incident is not known any more: only the last ones are kept")
		return
	}

	h.json(w, incident)
}

func (h *Handler) restart(w http.ResponseWriter, r *http.Request, _ Access) {
	var order struct{ Name string }
	if !decode(w, r, &order) {
		return
	}

	if order.Name == "" {
		http.Error(w, "no application is named", http.StatusBadRequest)
		return
	}

	h.cfg.Logger.Info("the dashboard was used to restart an application", "app", order.Name, "caller", r.RemoteAddr)
	h.report(w, h.cfg.Source.Restart(context.WithoutCancel(r.Context()), order.Name), "there is no such application")
}

func (h *Handler) detach(w http.ResponseWriter, r *http.Request, _ Access) {
	var order struct{ PID int }
	if !decode(w, r, &order) {
		return
	}

	h.cfg.Logger.Info("the dashboard was used to detach a process", "pid", order.PID, "caller", r.RemoteAddr)
	h.report(w, h.cfg.Source.Detach(context.WithoutCancel(r.Context()), order.PID), "there is no such process any more")
}

// decode reads an order. Its type is one that forms of other sites cannot send.
func decode(w http.ResponseWriter, r *http.Request, order any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "the body must be JSON", http.StatusUnsupportedMediaType)
		return false
	}

	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(order); err != nil {
		http.Error(w, "the body cannot be read: "+err.Error(), http.StatusBadRequest)
		return false
	}

	return true
}

func (h *Handler) report(w http.ResponseWriter, err error, missing string) {
	if err != nil {
		h.fail(w, err, missing)
		return
	}

	h.json(w, struct{}{})
}

func (h *Handler) json(w http.ResponseWriter, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		h.fail(w, err, "")
		return
	}

	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the viewer may have gone
}

func (h *Handler) fail(w http.ResponseWriter, err error, missing string) {
	if errors.Is(err, fs.ErrNotExist) {
		http.Error(w, missing, http.StatusNotFound)
		return
	}

	h.cfg.Logger.V(1).Info("the dashboard has nothing to show", "err", err.Error())
	http.Error(w, strings.TrimSpace(err.Error()), http.StatusBadGateway)
}
