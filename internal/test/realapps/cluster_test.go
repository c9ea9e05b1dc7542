package realapps_test

import (
	"net/http"
	"testing"
)

// An application that would be served by the workers of Node.js's cluster module works with its packages that talk
// to the primary process: a logger, a rate limiter, and figures.
func TestClusterModule(t *testing.T) {
	t.Parallel()

	modules := packages(t, "cluster", 18)
	w := newWorkshop(t)
	w.copySource(t, "cluster")
	w.linkPackages(t, modules)
	w.write(t, "public/style.css", "h1 { color: green }\n")
	s := w.start(t)

	for _, left := range []string{"2 left", "1 left", "0 left"} {
		s.get(t, "/", http.StatusOK, left)
	}

	s.get(t, "/", http.StatusTooManyRequests, "too many")
	s.get(t, "/figures", http.StatusOK, "requests_total 5")
	s.Await(t, "the primary process", 1)
	s.Await(t, "request for /figures", 1)
	s.upload(t, "/upload", "photo", "photo.png").require(t, http.StatusOK, "bytes")
	s.requireStatic(t, "/style.css", "text/css", "color: green")
	s.requireStream(t, "/events", "data: first", "data: second")
	s.lacks(gotSocket, "Node.js alone")

	s.restartUnderLoad(t, "/figures", "requests_total")
}
