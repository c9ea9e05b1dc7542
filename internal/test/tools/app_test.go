package tools_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gopassenger/passenger/loaders/goapp"
)

// holdFile is a FIFO in the application's directory that its processes wait for when they start.
const holdFile = "hold"

// appVar makes the test binary an application.
const appVar = "TOOLS_APP"

// playApp responds with the process's id. It does not start while there is a file
// named broken in its directory.
func playApp() (status int) {
	dir, err := os.Getwd()
	if err == nil {
		if _, err := os.Stat(filepath.Join(dir, "broken")); err == nil {
			fmt.Fprintln(os.Stderr, "this release is broken")
			return 1
		}
	}

	// Mostly there is none.
	if hold, err := os.Open(holdFile); err == nil {
		_ = hold.Close()
	}

	err = goapp.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strconv.Itoa(os.Getpid())) // the client may have gone
	}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	return 0
}
