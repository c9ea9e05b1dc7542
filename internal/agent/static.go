package agent

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/dcache"
	"github.com/gopassenger/passenger/internal/ratelog"
	"github.com/gopassenger/passenger/internal/releasedir"
	"github.com/gopassenger/passenger/internal/urlpath"
	"github.com/gopassenger/passenger/internal/validators"
)

// static serves files, and lets next serve the rest. It keeps nothing open: the directory is looked for at each
// request, in the releases that serve then.
type static struct {
	// place is where the files are in a release.
	place releasedir.Place
	// outside means that no release has them: Root of place has them.
	outside bool
	// php is nil for other applications than those of PHP.
	php     *phpFiles
	private privateFiles
	// releases are those of the application.
	releases func() passenger.ReleaseDirs
	// base is the path that the files are below.
	base urlpath.Base
	// cacheControl is for files whose name has no fingerprint; immutable: those with one are kept for good.
	cacheControl string
	immutable    bool
	next         http.Handler
	// stallTimeout bounds the time between two writes; 0 or less: it does not.
	stallTimeout time.Duration
	// compressor is shared by all applications of the server; nil means that texts are sent as they are.
	compressor *compressor
	// requests is nil where requests are not logged.
	requests *requestLog

	// absent means that there was no directory of files when it was looked for, and misses counts requests for no file.
	// They only decide what is looked for first.
	absent atomic.Bool
	misses atomic.Uint32
	// cached says at little cost that there is none still.
	cached dcache.Cache

	log                                logr.Logger
	notADir, links, loops, unreadables ratelog.Line
}

// newStatic returns the static files of c. What is configured beside it may name files that stand among them.
func newStatic(
	c *Config, beside []*Config, pool *passenger.Pool, shared *compressor, log logr.Logger, next http.Handler,
) *static {
	options := c.options()
	s := &static{
		releases:     pool.ReleaseDirs(&options),
		cacheControl: c.StaticCacheControl,
		immutable:    c.StaticImmutable,
		next:         next,
		compressor:   shared,
		stallTimeout: c.stallTimeout(),
		log:          log,
	}
	// Validate reports the error.
	s.base, _ = urlpath.Parse(c.BaseURI)
	public := c.publicDir()
	if scripts := c.scripts(); scripts != nil {
		s.php = &phpFiles{startupFile: c.StartupFile, fixed: c.StaticFilesDir != ""}
		// Without a configured directory, each release says where its scripts are.
		if !s.php.fixed {
			public = c.Dir
		}
	}

	s.locate(c.Dir, public)
	s.private = c.privateFiles(public, beside...)

	return s
}

// locate sets where the files are.
func (s *static) locate(app, public string) {
	place, ok := releasedir.Of(app, public)
	s.place, s.outside = place, !ok
	if s.outside {
		s.place.Root = public
	}
}

func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Other methods are for the application, which may have a form at the path of a file.
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !s.serveShown(w, r, candidates(s.below(r))) {
		s.next.ServeHTTP(w, r)
	}
}

// below is the path below the base URI, without escapes; empty is that itself. It is one
// that no file has where the request is for something else.
func (s *static) below(r *http.Request) string {
	const nowhere = "\x00"

	path, _, _ := strings.Cut(urlpath.Target(r), "?")
	below, ok := s.base.Cut(path)
	if !ok {
		return nowhere
	}

	below, err := url.PathUnescape(below)
	if err != nil {
		return nowhere
	}

	return below
}

// serveShown is serve, with a line for people where they want one for each request.
func (s *static) serveShown(w http.ResponseWriter, r *http.Request, names []string) bool {
	if s.requests == nil {
		return s.serve(w, r, names)
	}

	began, counted := time.Now(), &countedWriter{ResponseWriter: w}
	served := s.serve(counted, r, names)
	if served {
		s.requests.write(r.Method, r.RequestURI, counted.status, counted.bytes, time.Since(began))
	}

	return served
}

// serve sends the first of the files that exists, or returns false.
func (s *static) serve(w http.ResponseWriter, r *http.Request, names []string) bool {
	if len(names) == 0 {
		return false
	}

	if s.outside {
		return s.serveFrom(w, r, s.place.Root, names)
	}

	// The directory of the application may be a link, and processes of two releases may serve: theirs count.
	dirs := s.releases()
	found := false

	for _, release := range dirs.Serving {
		root, ok := s.place.In(release)
		if ok && s.serveFrom(w, r, root, names) {
			return true
		}

		found = found || ok
	}

	// A page of a release names files of that release. Whoever got the page may ask for them when the release does not
	// serve any more, or, by another server, not yet. What has a fingerprint cannot be the wrong one.
	named := fingerprinted(names[0])
	if named {
		for _, release := range dirs.Past {
			if root, ok := s.place.In(release); ok && s.serveFrom(w, r, root, names[:1]) {
				return true
			}
		}
	}

	switch {
	case !found:
		return s.serveFrom(w, r, s.place.Root, names)
	case named:
		return s.serveFrom(w, r, s.place.Root, names[:1])
	}

	return false
}

// serveFrom looks in one directory.
func (s *static) serveFrom(w http.ResponseWriter, r *http.Request, root string, names []string) bool {
	rel := s.place.Rel
	if s.php != nil {
		if rel, names = s.php.public(root, rel, names); len(names) == 0 {
			return false
		}
	}

	// Each release has its own of what is in the application's directory.
	names = s.private.without(joined(s.place.Root, rel), names)

	public := joined(root, rel)
	if s.absent.Load() && !s.isThere(public) {
		return false
	}

	for _, name := range names {
		// Most files are opened by this one system call. All checks that cost more are for what is left.
		file, err := openDirect(joined(public, name))
		switch {
		case err == nil && s.private.isOneOf(file):
			_ = file.Close()
			continue
		case err == nil && !mayBeForeign(file):
			s.send(w, r, &staticFile{dir: &directDir{root, rel}, name: name, file: file})
			return true
		// Root must not serve what a user has only linked to, which the path with all checks finds out.
		case err == nil:
			_ = file.Close()
			return s.serveLinked(w, r, root, rel, names)
		case errors.Is(err, syscall.ENOENT), errors.Is(err, errNotAFile):
			continue
		default:
			// A link, or something that an operator has to know of.
			return s.serveLinked(w, r, root, rel, names)
		}
	}

	// Applications without such a directory need no system call for each name.
	if s.misses.Add(1)%lookAfterMisses == 0 {
		s.isThere(public)
	}

	return false
}

// lookAfterMisses is after how many requests for no file the directory itself is looked for.
const lookAfterMisses = 8

// isThere reports whether there is something at the path of the directory, and remembers it, so that the next request
// begins with the look that is likely to be the only one.
func (s *static) isThere(public string) bool {
	var st unix.Stat_t
	there := s.cached.Look(public) != dcache.Absent && !errors.Is(unix.Stat(public, &st), unix.ENOENT)
	s.absent.Store(!there)

	return there
}

// serveLinked looks in one directory to which, or to whose files, a link may lead. Nothing is opened before it is known
// to be there.
func (s *static) serveLinked(w http.ResponseWriter, r *http.Request, root, rel string, names []string) bool {
	public := joined(root, rel)
	var st unix.Stat_t
	if err := unix.Stat(public, &st); err != nil {
		s.cannotUse(public, err)
		return false
	}

	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		s.cannotUse(public, errNotADir)
		return false
	}

	for _, name := range names {
		file := joined(public, name)
		if err := unix.Stat(file, &st); err != nil {
			s.cannotUse(file, err)
			continue
		}

		if s.private.hides(joined(s.place.Root, rel), public, name) {
			continue
		}

		if st.Mode&unix.S_IFMT == unix.S_IFREG && s.serveFile(w, r, root, rel, name) {
			return true
		}
	}

	return false
}

// serveFile sends a file of a release, or returns false.
func (s *static) serveFile(w http.ResponseWriter, r *http.Request, root, rel, name string) bool {
	dir, err := openPublic(root, rel)
	if err != nil {
		s.cannotUse(joined(root, rel), err)
		return false
	}
	defer dir.close()

	file, err := dir.open(name)
	if errors.Is(err, fs.ErrPermission) {
		// As nginx does it: the file is there, and the application is not asked for another one.
		s.cannotUse(joined(joined(root, rel), name), err)
		refuse(w, http.StatusForbidden, "Forbidden")
		return true
	}

	if err != nil {
		s.cannotUse(joined(joined(root, rel), name), err)
		return false
	}

	if s.private.isOneOf(file) {
		_ = file.Close()
		return false
	}

	s.send(w, r, &staticFile{dir: dir, name: name, file: file})

	return true
}

// send sends a file, which it closes.
func (s *static) send(w http.ResponseWriter, r *http.Request, f *staticFile) {
	defer f.file.Close()
	// The size and the time are those of when it was opened.
	f.info, _ = f.file.Stat()

	paced := newStaticWriter(w, r, s.stallTimeout)
	defer paced.end()

	s.setCacheControl(paced, f.name)

	// A file that was compressed before is smaller than ours, and costs nothing.
	if !f.serveEncoded(paced, r) && !f.serveCompressed(paced, r, s.compressor) {
		f.describe(paced, f.file, f.info, "", true)
		f.serveContent(paced, r, f.info.Size(), f.file)
	}
}

var (
	errForeignLink = errors.New("it is a link to what belongs to another user")
	errNotADir     = errors.New("it is not a directory")
	errNotAFile    = errors.New("it is not a file")
)

// cannotUse logs what an operator has to know of, and not that there is no such file.
func (s *static) cannotUse(file string, err error) {
	tell := func(kind *ratelog.Line, message string, names ...any) {
		kind.Tell(func(more int) { s.log.Info(message, append([]any{"more", more}, names...)...) })
	}

	switch {
	case errors.Is(err, errForeignLink):
		tell(&s.links, "a static file is not served, since a link to it leads to another user's files: "+
			"let the link belong to root, or to the user that its target belongs to", "file", file)
	case errors.Is(err, syscall.ELOOP):
		tell(&s.loops, "a static file is not served, since links lead in a circle to it: remove one of them", "file",
			file)
	case errors.Is(err, fs.ErrPermission):
		tell(&s.unreadables, "cannot read a static file: give the user that the server runs as the right to",
			"file", file, "uid", os.Geteuid())
	case errors.Is(err, errNotADir):
		tell(&s.notADir, "no static files are served, since this is not a directory: make it one, or remove it",
			"staticFilesDir", file)
	}
}

// filesDir is a directory of static files.
type filesDir interface {
	// has reports whether there may be a file of this name: open says whether it can be served.
	has(name string) bool
	open(name string) (*openedFile, error)
}

// directDir is a directory that is not open, as no link leads to it.
type directDir struct{ root, rel string }

func (d *directDir) has(name string) bool {
	var st unix.Stat_t
	return unix.Stat(joined(joined(d.root, d.rel), name), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

func (d *directDir) open(name string) (*openedFile, error) {
	if file, err := openDirect(joined(joined(d.root, d.rel), name)); err == nil {
		if !mayBeForeign(file) {
			return file, nil
		}

		_ = file.Close()
	}

	dir, err := openPublic(d.root, d.rel)
	if err != nil {
		return nil, err
	}
	defer dir.close()

	return dir.open(name)
}

// staticFile is one that was found, and its directory, in which others may be made of it.
type staticFile struct {
	dir  filesDir
	name string
	file *openedFile
	info fs.FileInfo
	// accepted are the codings that the client takes, once it was asked.
	asked    bool
	accepted [len(encodings)]bool
}

// describe sets the header fields of a file's contents in a coding. Those of a file have a strong tag; what was
// compressed on the way has a weak one, since another version of the server may compress otherwise.
func (f *staticFile) describe(w http.ResponseWriter, file io.ReaderAt, info fs.FileInfo, coding string, exact bool) {
	h := w.Header()

	// Each coding has a tag of its own, or a cache would put parts of two together.
	tag := validators.ETag(file, info, coding)
	if !exact {
		tag = validators.Weak(tag)
	}

	h.Set("ETag", tag)

	kind := contentType(f.name)
	if coding != "" {
		h.Set("Content-Encoding", coding)
		if kind == "" {
			// Package net/http would look into the file, and find the coding.
			kind = "application/octet-stream"
		}
	}

	if kind != "" {
		h.Set("Content-Type", kind)
	}
}

// serveContent sends size bytes of contents, or the ranges of them that the request asks for.
func (f *staticFile) serveContent(w http.ResponseWriter, r *http.Request, size int64, contents readSeeker) {
	http.ServeContent(w, validators.BoundRanges(f.exact(r), size), f.name, f.info.ModTime(), contents)
}

func (f *staticFile) exact(r *http.Request) *http.Request {
	return validators.Exact(r, f.info.ModTime())
}

// candidates are the files that may stand for a path: itself, its page, or its
// directory's index. Names that begin with a dot are not for the public, but for
// /.well-known (RFC 8615).
func candidates(urlPath string) []string {
	rest := urlPath
	if after, ok := strings.CutPrefix(urlPath, "/.well-known/"); ok {
		rest = "/" + after
	}

	if len(urlPath) > unix.PathMax || strings.ContainsAny(urlPath, "\x00\\") || strings.Contains(rest, "/.") {
		return nil
	}

	name := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if len(path.Base(name)) > maxFileName {
		// No file has such a name, and looking for a fingerprint in it would take long.
		return nil
	}

	if name == "" || strings.HasSuffix(urlPath, "/") {
		return []string{path.Join(name, "index.html")}
	}

	return []string{name, name + ".html"}
}

// maxFileName is NAME_MAX of all systems that we run on.
const maxFileName = 255

// joined is a path below a directory, if it is not the directory itself.
func joined(dir, rel string) string {
	if rel == "" {
		return dir
	}

	return strings.TrimSuffix(dir, "/") + "/" + rel
}
