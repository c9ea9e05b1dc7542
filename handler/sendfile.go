package handler

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
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
		return x.openFile(s.underRoot(named[0]))
	}
	if named := p.header["X-Accel-Redirect"]; len(named) == 1 && len(s.Accel) > 0 {
		return x.openFile(s.accelerated(named[0]))
	}
	return nil
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

// accelerated does the same for a URI path.
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
		a.err = fmt.Errorf("%s in %s belongs to another user than the application's, and not everybody may read it", name, root)
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
		x.h.cfg.Logger.Error(a.err, "The application sent a file that cannot be sent", "app", x.h.appName(), "requestId", x.mark.id)
		return fmt.Errorf("%w: %w", errNoFile, a.err)
	}
	defer a.file.Close()
	out := x.w.Header()
	x.copyHeader(out)
	x.h.sign(out, x.resp.status)
	for _, name := range []string{"Content-Length", "Content-Range", "Accept-Ranges"} {
		out.Del(name)
	}
	x.answered = true
	x.limitWrite(int(min(a.info.Size(), 1<<30)))
	w := &countingWriter{ResponseWriter: x.w, x: x}
	http.ServeContent(w, x.r, a.info.Name(), a.info.ModTime(), a.file)
	if w.err != nil {
		return fmt.Errorf("%w: %w", errClientGone, w.err)
	}
	return nil
}

// countingWriter sees what http.ServeContent answers.
type countingWriter struct {
	http.ResponseWriter
	x   *exchange
	err error
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) WriteHeader(status int) {
	w.x.event.Status = status
	w.Header()["Status"] = statusField(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.note(int64(n), err)
	return n, err
}

// ReadFrom lets the kernel copy the file to the client, where it can.
func (w *countingWriter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(w.ResponseWriter, r)
	w.note(n, err)
	return n, err
}

func (w *countingWriter) note(n int64, err error) {
	w.x.sent.Add(n)
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		w.err = err
	}
}
