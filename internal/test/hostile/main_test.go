package hostile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/loaderproto"
)

// workDir is where the binary is and below which the tests work. Its path is
// short, since those of Unix sockets have to be.
var workDir string

func TestMain(m *testing.M) {
	if protocol := os.Getenv(appVar); protocol != "" {
		if err := playApp(loaderproto.Protocol(protocol)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}

		os.Exit(0)
	}

	os.Exit(run(m))
}

func run(m *testing.M) (status int) {
	var err error
	if workDir, err = os.MkdirTemp("", "hostile"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	status = m.Run()
	if err := os.RemoveAll(workDir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	return status
}

// binary builds the server, once, when a test needs it: those that fuzz do not.
var binary = sync.OnceValues(func() (path string, err error) {
	err = boxed.Build(workDir, map[string]string{"passenger": "cmd/passenger"})
	return filepath.Join(workDir, "passenger"), err
})
