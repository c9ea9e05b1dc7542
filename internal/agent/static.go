package agent

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"syscall"
)

// static serves the files below a directory, and lets next serve the rest.
type static struct {
	root *os.Root
	// base is the path that the files are below, without a slash at its end.
	base string
	// uid is to whom the directory belongs.
	uid  uint32
	next http.Handler
}

// newStatic returns next itself where there is no such directory.
func newStatic(dir, baseURI string, next http.Handler) (_ http.Handler, done func(), err error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return next, func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := root.Stat(".")
	if err != nil {
		return nil, nil, errors.Join(err, root.Close())
	}
	return &static{root: root, base: strings.TrimSuffix(baseURI, "/"), uid: owner(info), next: next}, func() { _ = root.Close() }, nil
}

func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	below, ok := strings.CutPrefix(r.URL.Path, s.base)
	if !ok || below == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.next.ServeHTTP(w, r)
		return
	}
	for _, name := range candidates(below) {
		if f, info := s.open(name); f != nil {
			s.serve(w, r, name, f, info)
			_ = f.Close() // it was only read
			return
		}
	}
	s.next.ServeHTTP(w, r)
}

// serve answers with a file, in a coding that makes it smaller if the client
// takes one.
func (s *static) serve(w http.ResponseWriter, r *http.Request, name string, f *os.File, info fs.FileInfo) {
	if s.serveEncoded(w, r, name, info) || s.serveCompressed(w, r, name, f, info) {
		return
	}
	http.ServeContent(w, r, name, info.ModTime(), f)
}

// candidates are the files that may stand for a path: itself, its page, or its
// directory's index. Names that begin with a dot are not for the public, but for
// /.well-known (RFC 8615).
func candidates(urlPath string) []string {
	rest := urlPath
	if after, ok := strings.CutPrefix(urlPath, "/.well-known/"); ok {
		rest = "/" + after
	}
	if strings.ContainsAny(urlPath, "\x00\\") || strings.Contains(rest, "/.") {
		return nil
	}
	name := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if name == "" || strings.HasSuffix(urlPath, "/") {
		return []string{path.Join(name, "index.html")}
	}
	return []string{name, name + ".html"}
}

// open returns a regular file below the root, and never waits for one that is
// something else.
func (s *static) open(name string) (*os.File, fs.FileInfo) {
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || s.borrowed(info) {
		_ = f.Close()
		return nil, nil
	}
	return f, info
}

// borrowed: as root we could read a file that a user has only linked into their
// directory, and that is somebody else's.
func (s *static) borrowed(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Geteuid() == 0 && stat.Nlink > 1 && s.uid != 0 && stat.Uid != s.uid
}

func owner(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return 0
}
