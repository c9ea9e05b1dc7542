package handler

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/gopassenger/passenger/spawner"
)

// findScript finds the script that a request to an application of PHP executes, in the release of the process that has
// been checked out. served reports whether the request was redirected to the directory that it names.
func (x *exchange) findScript() (served bool, err error) {
	u := &x.upstream
	scripts := u.session.Scripts()
	if scripts == nil || !u.speaksFastCGI() {
		return false, nil
	}

	path, err := url.PathUnescape(x.req.target.path)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errBadRequest, err)
	}

	// The root may be a link to a directory that others may not look into.
	err = u.session.WithRights(func() (err error) {
		u.fastCGI.script, err = scripts.Find(path)
		return err
	})

	switch {
	case errors.Is(err, spawner.ErrDirectory):
		x.redirectToDirectory()
		return true, nil
	case err != nil:
		return false, fmt.Errorf("%w: %w", errNotFound, err)
	}

	u.fastCGI.documentRoot = scripts.Directory()

	return false, nil
}

// redirectToDirectory sends the client to the same path with a slash behind it: links in the page are relative to that.
func (x *exchange) redirectToDirectory() {
	path, query, hasQuery := strings.Cut(x.req.target.uri, "?")

	// Two slashes in front would be the name of a server.
	location := "/" + strings.TrimLeft(path, "/") + "/"
	if hasQuery {
		location += "?" + query
	}

	status := http.StatusMovedPermanently
	if m := x.req.method(); m != http.MethodGet && m != http.MethodHead {
		status = http.StatusPermanentRedirect
	}

	out := x.client.header()
	x.h.addOwnFields(out, status)
	out["Location"], out["Content-Length"] = []string{location}, []string{"0"}
	out["Content-Type"] = nil
	x.client.writeHead(status)
}

// encodeFastCGI returns the request by FastCGI, with a small body behind it, in the memory of f. keepConn asks the
// application to leave the connection open.
func (r *request) encodeFastCGI(f *fastCGI, keepConn bool, body *requestBody) ([]byte, error) {
	e := &f.encoder

	e.Begin(keepConn)
	r.describe(e, body.length)
	e.Add("GATEWAY_INTERFACE", "CGI/1.1")
	e.Add("SERVER_ADDR", r.serverAddr())
	e.Add("REQUEST_SCHEME", r.scheme())
	// PHP that is built to be run by redirects only wants to see one.
	e.Add("REDIRECT_STATUS", "200")

	if f.documentRoot == "" {
		e.Add("SCRIPT_NAME", r.target.script)
		e.Add("PATH_INFO", r.target.path)
	} else {
		base, err := url.PathUnescape(r.target.script)
		if err != nil {
			return nil, err
		}

		e.Add("DOCUMENT_ROOT", f.documentRoot)
		e.Add("SCRIPT_FILENAME", f.script.Filename)
		e.Add("SCRIPT_NAME", base+f.script.Name)
		e.Add("PATH_INFO", f.script.PathInfo)
	}

	e.EndParams()

	if body.length == 0 || body.small != nil {
		e.Stdin(body.small)
		e.EndStdin()
	}

	return e.Bytes()
}

// serverAddr is the address that the client has connected to.
func (r *request) serverAddr() string {
	if a, ok := r.ctx.Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return a.IP.String()
	}

	return "127.0.0.1"
}
