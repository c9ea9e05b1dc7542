package handler

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/internal/validators"
)

// fileAnswer is a file that the application has sent instead of a body. One that
// cannot be sent has err.
type fileAnswer struct {
	file *os.File
	info fs.FileInfo
	err  error
}

// sendfile opens the file that the answer names, if it names one and may; nil:
// the answer has a body.
func (x *exchange) sendfile() *fileAnswer {
	p := &x.resp
	if p.status != http.StatusOK || x.h.cfg.Sendfile.ToProxy {
		return nil
	}

	s := &x.h.cfg.Sendfile
	if named := p.header["X-Sendfile"]; len(named) == 1 && len(s.Roots) > 0 {
		return x.openNamed(named[0])
	}

	if named := p.header["X-Accel-Redirect"]; len(named) == 1 && len(s.Accel) > 0 {
		return x.openFile(s.accelerated(named[0]))
	}

	return nil
}

// tellOfRemoved logs, once for each of the headers, that the client of a response gets
// neither the file that the application has named nor the name.
func (x *exchange) tellOfRemoved() {
	if x.h.cfg.Sendfile.ToProxy {
		return
	}

	for name, option := range map[string]string{
		"X-Sendfile":       "sendfile_roots (handler.Config.Sendfile.Roots)",
		"X-Accel-Redirect": "accel_redirect (handler.Config.Sendfile.Accel)",
	} {
		if len(x.resp.header[name]) == 0 || !x.h.dropped.first(name) {
			continue
		}

		x.h.cfg.Logger.Info("The response names a file that is not sent: the header is removed. If this server is "+
			"to send such files, "+
			"name their directories in "+option+
			"; if the server in front is, set sendfile to proxy (handler.Config.Sendfile.ToProxy)",
			"app", x.h.appName(), "header", name, "status", x.resp.status, "requestId", x.mark.id)
	}
}

// underRoot splits the path of a file into a root that has it and the rest.
func (s *Sendfile) underRoot(file string) (root, name string, err error) {
	if filepath.IsAbs(file) {
		for _, root := range s.Roots {
			name, err := filepath.Rel(root, filepath.Clean(file))
			if err == nil && filepath.IsLocal(name) {
				return root, name, nil
			}
		}
	}

	return "", "", fmt.Errorf("X-Sendfile: %q is in none of the directories that it may name files in", file)
}

// openNamed opens the file of an X-Sendfile. What was written is tried first, and then what is behind the links: a
// root may be named by the link that leads to the release that serves, and the file by the release's own path.
func (x *exchange) openNamed(file string) *fileAnswer {
	s := &x.h.cfg.Sendfile
	a := x.openFile(s.underRoot(file))
	if a.err == nil {
		return a
	}

	root, name, err := x.h.behindLinks(file)
	if err != nil {
		return a
	}

	if b := x.openFile(root, name, nil); b.err == nil {
		return b
	}

	return a
}

var errInNoRoot = errors.New("it is in no root")

// behindLinks is underRoot for real paths. Only the directory is resolved: the file itself must not be a link, nor may
// anything become one until it is opened.
func (h *Handler) behindLinks(file string) (root, name string, err error) {
	file = filepath.Clean(file)
	if !filepath.IsAbs(file) {
		return "", "", errInNoRoot
	}

	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return "", "", err
	}

	file = filepath.Join(dir, filepath.Base(file))

	for _, root := range h.sendfileRoots() {
		resolved, err := filepath.EvalSymlinks(root)
		if err != nil {
			continue // it may come with the next release
		}

		if name, err := filepath.Rel(resolved, file); err == nil && filepath.IsLocal(name) {
			return resolved, name, nil
		}
	}

	return "", "", errInNoRoot
}

// sendfileRoots are the configured ones, and the same directories of the releases that serve: the link may lead to
// another release already.
func (h *Handler) sendfileRoots() []string {
	roots := h.cfg.Sendfile.Roots
	serving := h.releases().Serving

	all := slices.Clone(roots)
	for _, root := range roots {
		rel, err := filepath.Rel(h.cfg.Options.App.Root, root)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}

		for _, release := range serving {
			all = append(all, filepath.Join(release, rel))
		}
	}

	return all
}

// accelerated does the same as underRoot for a URI path.
func (s *Sendfile) accelerated(uri string) (root, name string, err error) {
	uri, _, _ = strings.Cut(uri, "?")
	if decoded, err := url.PathUnescape(uri); err == nil {
		longest := ""
		for prefix := range s.Accel {
			if strings.HasPrefix(decoded, prefix) && len(prefix) > len(longest) {
				longest = prefix
			}
		}

		name := strings.TrimPrefix(decoded, longest)
		if longest != "" && filepath.IsLocal(name) && path.Clean(name) == name {
			return s.Accel[longest], name, nil
		}
	}

	return "", "", fmt.Errorf("X-Accel-Redirect: %q is below none of the paths that it may name files by", uri)
}

// openFile opens a regular file below a root, never following a link, since the
// application may change what is there while we look.
func (x *exchange) openFile(root, name string, err error) *fileAnswer {
	a := &fileAnswer{err: err}
	if err != nil {
		return a
	}

	if a.file, a.err = openBeneath(root, name); a.err != nil {
		return a
	}

	if a.info, a.err = a.file.Stat(); a.err == nil && !a.info.Mode().IsRegular() {
		a.err = fmt.Errorf("%s in %s is not a file", name, root)
	}

	if a.err == nil && !readableBy(x.session.UID(), a.info) {
		a.err = fmt.Errorf("%s in %s belongs to another user than the application's, and not everybody may read it",
			name, root)
	}

	if a.err != nil {
		_ = a.file.Close()
	}

	return a
}

// readableBy: whoever runs as uid might have read it. Root can read more, which
// may only have been linked into the directory.
func readableBy(uid int, info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(stat.Uid) == uid || info.Mode().Perm()&0o004 != 0)
}

// sendFile answers with a file, or a part of it, or that the client has it
// already. The head is the application's but for what describes the body.
func (x *exchange) sendFile(a *fileAnswer) error {
	if a.err != nil {
		x.h.cfg.Logger.Error(a.err, "The application sent a file that cannot be sent", "app", x.h.appName(),
			"requestId", x.mark.id)
		return fmt.Errorf("%w: %w", errNoFile, a.err)
	}

	defer a.file.Close()
	out := x.w.Header()
	x.copyHeader(out)
	x.h.sign(out, x.resp.status)

	for _, name := range []string{"Content-Length", "Content-Range", "Accept-Ranges"} {
		out.Del(name)
	}

	// What the application says of the file's version counts, else what static files have.
	if out.Get("ETag") == "" {
		out.Set("ETag", validators.ETag(a.info, ""))
	}

	x.answered = true
	w := &countingWriter{x: x}
	w.Writer = pace.Writer{ResponseWriter: x.w, Begin: x.beginWrite, End: w.endWrite}
	r := validators.BoundRanges(validators.Exact(x.r, a.info.ModTime()), a.info.Size())
	http.ServeContent(w, r, a.info.Name(), a.info.ModTime(), a.file)
	if w.err != nil {
		return fmt.Errorf("%w: %w", errClientGone, w.err)
	}

	return nil
}

// countingWriter sees what http.ServeContent answers.
type countingWriter struct {
	pace.Writer
	x   *exchange
	err error
}

func (w *countingWriter) WriteHeader(status int) {
	w.x.event.Status = status
	w.Header()["Status"] = statusField(status)
	w.x.writeHeader(status)
}

func (w *countingWriter) endWrite(n int64, err error) {
	w.x.endWrite()
	w.x.sent.Add(n)
	if pace.Failed(err) {
		w.err = err
	}
}
