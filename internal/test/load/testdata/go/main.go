// Command go responds with the process's id and what was asked for; /slow?ms=N
// takes N ms.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gopassenger/passenger/loaders/goapp"
)

func main() {
	if _, err := os.Stat("broken"); err == nil {
		log.Fatal("broken on purpose")
	}
	if err := goapp.Serve(http.HandlerFunc(respond)); err != nil {
		log.Fatal(err)
	}
}

func respond(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/slow" {
		ms, err := strconv.Atoi(r.FormValue("ms"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		<-time.After(time.Duration(ms) * time.Millisecond)
	}
	body := fmt.Sprintf("%d %s", os.Getpid(), r.URL.Path)
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = fmt.Fprint(w, body)
}
