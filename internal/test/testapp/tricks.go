package testapp

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// addTricks adds what a hostile or careless application would do. The responses
// say how it went.
func (p *player) addTricks(mux *http.ServeMux) {
	try := func(path string, do func(r *http.Request) (string, error)) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			text, err := do(r)
			if err != nil {
				text = err.Error()
			}

			_, _ = io.WriteString(w, text)
		})
	}

	// Creates a file in the directory path, or opens the file for writing.
	try("/try-write", func(r *http.Request) (string, error) {
		path := r.FormValue("path")
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil { //nolint:gosec // G304: that is the trick
			return "written", f.Close()
		}

		return "written", os.WriteFile(path+"/new", nil, 0o600) //nolint:gosec // G703: that is the trick
	})
	try("/try-read", func(r *http.Request) (string, error) {
		_, err := os.ReadFile(r.FormValue("path")) //nolint:gosec // G703: that is the trick
		return "read", err
	})
	try("/try-connect", func(r *http.Request) (string, error) {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(r.Context(), "unix", r.FormValue("path"))
		if err != nil {
			return "", err
		}

		return "connected", conn.Close()
	})
	try("/try-signal", func(r *http.Request) (string, error) {
		pid, err := strconv.Atoi(r.FormValue("pid"))
		check(err)
		return "signalled", syscall.Kill(pid, syscall.SIGCONT)
	})
	try("/try-trace", func(r *http.Request) (string, error) {
		pid, err := strconv.Atoi(r.FormValue("pid"))
		check(err)
		return "traced", syscall.PtraceAttach(pid)
	})
	try("/try-tty", func(*http.Request) (string, error) {
		f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err != nil {
			return "", err
		}

		return "opened", f.Close()
	})

	try("/spoil", p.spoilSocket)

	// Sends stdout and stderr elsewhere.
	try("/redirect", func(*http.Request) (string, error) {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		check(err)
		check(dup(int(null.Fd()), 1))

		return "redirected", dup(int(null.Fd()), 2)
	})
}

// spoilSocket does something to the process's own socket.
func (p *player) spoilSocket(r *http.Request) (string, error) {
	path := p.socketPath()
	how := r.FormValue("how")
	if how == "chmod" {
		return how, os.Chmod(path, 0)
	}

	check(os.Remove(path))

	switch how {
	case "remove":
		return how, nil
	case "file":
		return how, os.WriteFile(path, nil, 0o600)
	case "fifo":
		return how, syscall.Mkfifo(path, 0o600)
	case "dir":
		return how, os.Mkdir(path, 0o700)
	case "link":
		return how, os.Symlink(r.FormValue("target"), path)
	}

	return "", fmt.Errorf("no way to spoil: %s", how)
}
