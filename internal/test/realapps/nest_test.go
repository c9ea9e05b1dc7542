package realapps_test

import (
	"net/http"
	"testing"
)

// nestApp makes the application of NestJS' first steps, and does not build it.
func nestApp(t testing.TB) *workshop {
	t.Helper()
	modules := packages(t, "nest", 20)
	w := newWorkshop(t)
	w.copySource(t, "nest")
	w.linkPackages(t, modules)

	return w
}

func TestNest(t *testing.T) {
	t.Parallel()
	slow(t)

	w := nestApp(t)
	w.write(t, "public/style.css", "h1 { color: green }\n")
	w.run(t, "npm", "run", "build")
	s := w.start(t)

	s.get(t, "/", http.StatusOK, "Hello World!")
	s.post(t, "/form", "name", "Zoe").require(t, http.StatusCreated, "Hello Zoe!")
	s.get(t, "/missing", http.StatusNotFound, "Cannot GET /missing")
	s.requireClientAddress(t)
	s.requireStatic(t, "/style.css", "text/css", "color: green")
	s.requireStream(t, "/events", "data: first", "data: second")
	s.lacks(gotSocket, "NestJS alone")
	s.restartUnderLoad(t, "/", "Hello World!")
}
