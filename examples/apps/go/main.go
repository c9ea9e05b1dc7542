// Command go is a small application in Go that runs under Passenger, and by
// itself with go run.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"

	"github.com/gopassenger/passenger/loaders/goapp"
)

func main() {
	if err := goapp.Serve(routes()); err != nil {
		log.Fatal(err)
	}
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.HandleFunc("POST /form", form)
	mux.HandleFunc("POST /upload", upload)
	mux.HandleFunc("GET /download", download)
	mux.HandleFunc("POST /chunked", chunked)
	mux.HandleFunc("GET /cookies", cookies)
	mux.Handle("GET /redirect", http.RedirectHandler("/", http.StatusFound))
	mux.HandleFunc("GET /pid", pid)
	if os.Getenv("CRASH") == "1" {
		mux.HandleFunc("GET /crash", crash)
	}

	return mux
}

func home(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!doctype html><title>Go</title><h1>Hello from Go</h1>")
}

func form(w http.ResponseWriter, r *http.Request) {
	const most = 1 << 20
	r.Body = http.MaxBytesReader(w, r.Body, most)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}

	values := map[string]string{}
	for name := range r.PostForm {
		values[name] = r.PostForm.Get(name)
	}

	writeJSON(w, values)
}

// upload reads the file as it arrives.
func upload(w http.ResponseWriter, r *http.Request) {
	parts, err := r.MultipartReader()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}

	for {
		part, err := parts.NextPart()
		if err != nil {
			http.Error(w, "send a file in the form field 'file'", http.StatusBadRequest)
			return
		}

		if part.FormName() != "file" {
			continue
		}

		hash := sha256.New()
		size, err := io.Copy(hash, part)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}

		writeJSON(w, map[string]any{"size": size, "sha256": hex.EncodeToString(hash.Sum(nil))})

		return
	}
}

func download(w http.ResponseWriter, r *http.Request) {
	count := int64(1024)
	if text := r.FormValue("bytes"); text != "" {
		var err error
		if count, err = strconv.ParseInt(text, 10, 64); err != nil {
			http.Error(w, "'bytes' has to be a number", http.StatusBadRequest)
			return
		}
	}

	w.Header().Set("Content-Type", "application/octet-stream")

	// An error means that the client is gone.
	_, _ = io.CopyN(w, xs{}, count)
}

// xs is an endless row of the letter x.
type xs struct{}

func (xs) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}

	return len(b), nil
}

func chunked(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	flow := http.NewResponseController(w)
	if err := flow.EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}

	buf := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buf)
		if _, err := w.Write(buf[:n]); err != nil {
			return
		}

		_ = flow.Flush() // what has come goes back at once
		if err != nil {
			return
		}
	}
}

func cookies(w http.ResponseWriter, r *http.Request) {
	visits := 1
	if c, err := r.Cookie("visits"); err == nil {
		if n, err := strconv.Atoi(c.Value); err == nil {
			visits = n + 1
		}
	}

	//nolint:gosec // G124: the example works without TLS too, hence no Secure
	http.SetCookie(w, &http.Cookie{
		Name:     "visits",
		Value:    strconv.Itoa(visits),
		Path:     "/",
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
	writeJSON(w, map[string]int{"visits": visits})
}

func pid(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, strconv.Itoa(os.Getpid()))
}

func crash(http.ResponseWriter, *http.Request) {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
