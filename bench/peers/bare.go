package main

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// serveBare is net/http that responds by itself, as the applications do.
func serveBare(args []string) error {
	if len(args) != 1 {
		return errors.New("bare: give an address")
	}

	return serveHTTP(args[0], responder())
}

func responder() http.Handler {
	mux := http.NewServeMux()
	for path, text := range map[string]string{
		"/{$}": helloText, "/64k": strings.Repeat("x", 64<<10), "/1m": strings.Repeat("x", megabyte),
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			_, _ = io.WriteString(w, text)
		})
	}

	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		length, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}

		_, _ = io.WriteString(w, strconv.FormatInt(length, 10)+"\n")
	})

	return mux
}
