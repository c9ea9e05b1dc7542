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

	"github.com/gopassenger/passenger/internal/releasedir"
)

// sentFile is a file that the application has named instead of a body. One that cannot be sent has err.
type sentFile struct {
	file *os.File
	info fs.FileInfo
	err  error
}

// openSentFile opens the file that the response names, if it may name one; nil means that the response has a body.
func (x *exchange) openSentFile() *sentFile {
	r, s := &x.upstream.response, &x.h.cfg.Sendfile
	if r.status != http.StatusOK || s.ToProxy {
		return nil
	}

	if named := r.header["X-Sendfile"]; len(named) == 1 && len(s.Roots) > 0 {
		return x.openAsApplication(func(uid int) *sentFile { return x.h.openNamed(named[0], uid) })
	}

	if named := r.header["X-Accel-Redirect"]; len(named) == 1 && len(s.Accel) > 0 {
		root, name, err := s.findAccelerated(named[0])
		return x.openAsApplication(func(uid int) *sentFile { return x.openAccelerated(root, name, err, uid) })
	}

	return nil
}

// openAsApplication calls open with the rights of the application's user, whose ID it gets: whoever may write to a
// directory above a root can put a link in the root's place, which may lead to where only root can look.
func (x *exchange) openAsApplication(open func(uid int) *sentFile) *sentFile {
	var f *sentFile

	session := x.upstream.session
	if err := session.WithRights(func() error { f = open(session.UID()); return nil }); err != nil {
		f = &sentFile{err: err}
	}

	return f
}

// logRemovedFile logs, once for each of the fields, that the client of a response gets neither the file that the
// application has named nor the name.
func (x *exchange) logRemovedFile() {
	if x.h.cfg.Sendfile.ToProxy {
		return
	}

	header := x.upstream.response.header
	if len(header["X-Sendfile"]) > 0 {
		x.logRemoved("X-Sendfile", "sendfile_roots (handler.Config.Sendfile.Roots)")
	}

	if len(header["X-Accel-Redirect"]) > 0 {
		x.logRemoved("X-Accel-Redirect", "accel_redirect (handler.Config.Sendfile.Accel)")
	}
}

func (x *exchange) logRemoved(name, option string) {
	if !x.h.dropped.first(name) {
		return
	}

	x.h.cfg.Logger.Info("the response names a file that is not sent, and its header was removed: to let this "+
		"server send such files, name their directories in "+option+
		"; to let the server in front do it, set sendfile to proxy (handler.Config.Sendfile.ToProxy)",
		"app", x.h.appName(), "header", name, "status", x.upstream.response.status, "requestId", x.req.mark.id)
}

// findNamed splits the path of a file into the root that has it and the rest.
func (s *Sendfile) findNamed(file string) (root, name string, err error) {
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

// openNamed opens the file of an X-Sendfile. The path as written is tried first, and then the real path: a root may be
// named by the link that leads to the release that serves, and the file by the release's own path.
func (h *Handler) openNamed(file string, uid int) *sentFile {
	root, name, err := h.cfg.Sendfile.findNamed(file)

	written := openFile(root, name, err, uid)
	if written.err == nil {
		return written
	}

	if root, name, err = h.findReal(file); err != nil {
		return written
	}

	if resolved := openFile(root, name, nil, uid); resolved.err == nil {
		return resolved
	}

	return written
}

var errInNoRoot = errors.New("it is in no root")

// findReal is findNamed for real paths. Only the directory is resolved: the file itself must not be a link, nor may
// anything become one until it is opened.
func (h *Handler) findReal(file string) (root, name string, err error) {
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
			// The root may come with the next release.
			continue
		}

		if name, err := filepath.Rel(resolved, file); err == nil && filepath.IsLocal(name) {
			return resolved, name, nil
		}
	}

	return "", "", errInNoRoot
}

// sendfileRoots returns the configured roots, and the same directories of the releases that serve: the link may lead to
// another release already.
func (h *Handler) sendfileRoots() []string {
	roots := h.cfg.Sendfile.Roots
	serving := h.releases().Serving

	all := slices.Clone(roots)
	for _, root := range roots {
		for _, release := range serving {
			if own, ok := h.inRelease(root, release); ok {
				all = append(all, own)
			}
		}
	}

	return all
}

// inRelease returns the directory of a release that a root of the configuration stands for, which may name it by a link
// that leads to another release. ok is false if the root is that of all releases.
func (h *Handler) inRelease(root, release string) (own string, ok bool) {
	place, ok := releasedir.Of(h.cfg.Options.App.Root, root)
	if !ok || release == "" {
		return "", false
	}

	own, ok = place.In(release)

	return filepath.Join(own, place.Rel), ok
}

// findAccelerated is findNamed for a URI path.
func (s *Sendfile) findAccelerated(uri string) (root, name string, err error) {
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

// openAccelerated is openFile for the file of an X-Accel-Redirect. A root in a release is first that of the process
// that responds: the link may lead to one that does not serve yet.
func (x *exchange) openAccelerated(root, name string, err error, uid int) *sentFile {
	if dir, ok := x.h.inRelease(root, x.upstream.session.ReleaseRoot()); ok {
		own := openFile(dir, name, err, uid)
		if !errors.Is(own.err, fs.ErrNotExist) {
			return own
		}
	}

	return openFile(root, name, err, uid)
}

// openFile opens a regular file below a root, unless finding it has failed with err. It follows no link, since the
// application may change what is there meanwhile. uid is the user ID of the application.
func openFile(root, name string, err error, uid int) *sentFile {
	f := &sentFile{err: err}
	if err != nil {
		return f
	}

	if f.file, f.err = openBeneath(root, name); f.err != nil {
		return f
	}

	if f.info, f.err = f.file.Stat(); f.err == nil && !f.info.Mode().IsRegular() {
		f.err = fmt.Errorf("%s in %s is not a file", name, root)
	}

	// The server may run as root, and read more than the application.
	if f.err == nil && !isReadableBy(uid, f.info) {
		f.err = fmt.Errorf("%s in %s belongs to another user than the application's, and not everybody may read it",
			name, root)
	}

	if f.err != nil {
		_ = f.file.Close()
	}

	return f
}

// isReadableBy reports whether the user may read the file by its owner or by everybody's rights. Root can read more,
// which may only have been linked into the directory.
func isReadableBy(uid int, info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(stat.Uid) == uid || info.Mode().Perm()&0o004 != 0)
}
