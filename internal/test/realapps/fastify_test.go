package realapps_test

import (
	"net/http"
	"strconv"
	"testing"
)

func TestFastify(t *testing.T) {
	t.Parallel()
	modules := packages(t, "fastify", 20)
	w := newWorkshop(t)
	w.copySource(t, "fastify")
	w.linkPackages(t, modules)
	s := w.start(t)

	s.get(t, "/", http.StatusOK, `{"hello":"world"}`)
	s.post(t, "/form", "name", "Zoë").require(t, http.StatusOK, `{"name":"Zoë"}`)
	s.post(t, "/form", "title", "Dr").require(t, http.StatusBadRequest, "must have required property 'name'")
	s.requireStatic(t, "/assets/style.css", "text/css", "color: green")
	s.get(t, "/old", http.StatusFound, "").requireRedirect(t, http.StatusFound, "/")
	s.get(t, "/missing", http.StatusNotFound, "Route GET:/missing not found")
	s.upload(t, "/upload", "file", "photo.png").require(t, http.StatusOK, `"size":`+strconv.Itoa(uploadSize))
	s.requireClientAddress(t)
	s.requireStream(t, "/events", "data: first", "data: second")
	s.lacks(gotSocket, "Fastify alone")
	s.restartUnderLoad(t, "/", `{"hello":"world"}`)
}
