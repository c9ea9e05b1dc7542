package handler

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/httpfield"
)

// forward copies the response to the client, in the way that suits it. The process is let go as soon as it has given
// all of it.
func (x *exchange) forward() error {
	u := &x.upstream
	r := &u.response

	if r.status == http.StatusSwitchingProtocols {
		u.unwatch()
		return x.copyBothWays()
	}

	if _, asked := r.header[requestOOBW]; asked {
		u.session.RequestOOBW()
	}

	x.invalidateCache()
	// A body beside the file's name is not read, so that the connection ends with it.
	if file := x.openSentFile(); file != nil {
		x.release(nil)
		return x.copyFile(file)
	}

	x.logRemovedFile()
	cacheable := x.mayCache()

	held, whole, err := x.readAhead(cacheable)
	if err != nil {
		return err
	}

	x.writeHead(held, whole)
	if whole {
		x.release(nil)
		if cacheable {
			x.h.cache.Store(&x.ticket, held)
		}

		return x.copyWhole(held)
	}

	// The application may change something while it responds.
	defer x.invalidateCache()
	if r.isEventStream() {
		conn := u.conn
		x.addStream(func() {
			x.streamEnded.Store(true)
			interrupt(conn)
		})
		defer x.h.streams.remove(x)
	}

	if x.buffersResponse() {
		return x.copyBuffered(held)
	}

	return x.copyStreaming(held)
}

// readAhead reads the body as far as it is there already, or to its end if that is near: so it goes out in one piece,
// and its process has been let go. The rest of a body without a known length is waited for only if all of it is wanted.
func (x *exchange) readAhead(wanted bool) (held []byte, whole bool, err error) {
	r := &x.upstream.response
	if r.length == 0 && !r.chunked {
		r.complete = true
		return nil, true, nil
	}

	x.upstream.openBody()
	if r.length > maxMemory {
		return nil, false, nil
	}

	// Without a length, the first part has to do.
	size := int(r.length)
	if r.length < 0 {
		size = copyBufferSize
	}

	wait := x.buffersResponse() && (r.length > 0 || wanted)

	return x.upstream.readAhead(x.req.ctx, x.scratch.borrow(size), wait)
}

// buffersResponse reports whether the response may be kept for a client that reads slowly.
func (x *exchange) buffersResponse() bool {
	r := &x.upstream.response

	return x.h.cfg.MaxResponseBuffer > 0 && !r.isEventStream() &&
		!httpfield.HasToken(r.header["X-Accel-Buffering"], "no")
}

func (r *response) isEventStream() bool {
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")

	return httpfield.EqualFold(strings.TrimRight(kind, " \t"), "text/event-stream")
}

// writeHead writes the head of the response, with the length of a body that is whole.
func (x *exchange) writeHead(body []byte, whole bool) {
	r, out := &x.upstream.response, x.client.header()

	x.copyHeader(out)
	x.h.addOwnFields(out, r.status)
	if _, typed := out["Content-Type"]; !typed {
		// This keeps net/http from guessing.
		out["Content-Type"] = nil
	}

	// A response to HEAD has the length of a body that does not come.
	lengths := r.header["Content-Length"]
	switch {
	case len(lengths) == 1 && r.status != http.StatusNoContent:
		out["Content-Length"] = lengths
	case whole && (r.chunked || r.length < 0):
		out["Content-Length"] = []string{strconv.Itoa(len(body))}
	}

	if x.upstream.isUploading() {
		x.client.closeConnection()
	}

	x.client.closeIfAmbiguous()
	x.client.writeHead(r.status)
}

// copyHeader adds the response's fields that are for the client, and our own.
func (x *exchange) copyHeader(to http.Header) {
	r := &x.upstream.response
	r.copyHeader(to)

	x.client.spellings = r.spellings
	if !x.h.cfg.Sendfile.ToProxy {
		delete(to, "X-Sendfile")
		delete(to, "X-Accel-Redirect")
	}

	if route := x.req.stickyRoute(); route != nil {
		to.Add("Set-Cookie", route.cookie(x.upstream.session.StickyID(), x.req.scheme() == "https"))
	}
}

// poweredBy is shared by all responses.
var poweredBy = []string{passenger.ServerSoftware}

// addOwnFields adds the fields that every response of ours has.
func (h *Handler) addOwnFields(to http.Header, status int) {
	to["Status"] = statusField(status)
	if !h.cfg.HidePoweredBy {
		to["X-Powered-By"] = poweredBy
	}
}

// statusFields are the values of the field Status, which is what CGI calls the status line. They are made for the first
// response: commands that serve nothing would wait for them.
var statusFields = sync.OnceValue(func() (fields *[600][]string) {
	fields = new([600][]string)
	for status := range fields {
		if text := http.StatusText(status); text != "" {
			fields[status] = []string{strconv.Itoa(status) + " " + text}
		}
	}

	return fields
})

func statusField(status int) []string {
	if fields := statusFields(); status < len(fields) && fields[status] != nil {
		return fields[status]
	}

	return []string{strconv.Itoa(status)}
}
