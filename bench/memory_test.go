package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

// large are applications with 40 MB of loaded code and data. The system's
// interpreters come first: what stands in PATH may be a script that looks for
// another one.
var large = []struct{ kind, dir, interpreter string }{
	{"rack", "rack40", firstOf("/usr/bin/ruby", "ruby")},
	{"wsgi", "wsgi40", firstOf("/usr/bin/python3", "python3")},
}

func firstOf(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}

	return names[len(names)-1]
}

const memoryProcesses = 4

// BenchmarkMemory measures the memory (PSS) of four processes of an application
// together with their preloader, after their start and after 20,000 requests
// that use all of it, a tenth, or a hundredth.
func BenchmarkMemory(b *testing.B) {
	for _, app := range large {
		if _, err := exec.LookPath(app.interpreter); err != nil {
			b.Logf("%s is not installed", app.interpreter)
			continue
		}

		for _, use := range []string{"1", "10", "100"} {
			for _, method := range []string{spawner.DirectSpawning, spawner.SmartSpawning} {
				b.Run(fmt.Sprintf("%s/1 in %s/%s", app.kind, use, method), func(b *testing.B) {
					for b.Loop() {
						measureMemory(b, app.dir, app.interpreter, method, use)
					}
				})
			}
		}
	}
}

func measureMemory(b *testing.B, dir, interpreter, method, use string) {
	b.Helper()
	root, err := filepath.Abs(filepath.Join("testdata", dir))
	if err != nil {
		b.Fatal(err)
	}

	marker := fmt.Sprintf("PASSENGER_BENCH=%d.%d", os.Getpid(), time.Now().UnixNano())
	name, value, _ := strings.Cut(marker, "=")
	factory, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	if err != nil {
		b.Fatal(err)
	}
	defer factory.Close()
	pool, err := passenger.New(passenger.Config{Spawner: factory})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	options := passenger.Options{
		App: spawner.App{
			Root:        root,
			Ruby:        interpreter,
			Python:      interpreter,
			SpawnMethod: method,
			Env:         map[string]string{name: value, "USE": use},
		},
		MinProcesses: memoryProcesses, MaxProcesses: memoryProcesses,
	}
	awaitProcesses(b, pool, &options)
	b.ReportMetric(megabytes(b, marker), "MB-started")
	h, err := handler.New(pool, handler.Config{Options: options})
	if err != nil {
		b.Fatal(err)
	}

	requests(b, h, 20_000)
	b.ReportMetric(megabytes(b, marker), "MB-used")
}

func awaitProcesses(b *testing.B, pool *passenger.Pool, options *passenger.Options) {
	b.Helper()

	deadline := time.Now().Add(time.Minute)
	for {
		session, err := pool.Get(context.Background(), options)
		if err != nil {
			b.Fatal(err)
		}

		session.Close(passenger.KeepAlive)
		if len(pool.Inspect().Groups[0].Processes) == memoryProcesses {
			return
		}

		if time.Now().After(deadline) {
			b.Fatal("the processes do not start")
		}

		<-time.After(10 * time.Millisecond)
	}
}

// megabytes is the memory of all processes with the marker in their
// environment; what several of them share counts once.
func megabytes(b *testing.B, marker string) float64 {
	b.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		b.Fatal(err)
	}

	total, found := 0, 0
	for _, dir := range dirs {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || !bytes.Contains(env, []byte(marker)) {
			continue
		}

		rollup, err := os.ReadFile(dir + "/smaps_rollup")
		if err != nil {
			b.Fatal(err)
		}

		_, pss, _ := strings.Cut(string(rollup), "\nPss:")
		kilobytes, err := strconv.Atoi(strings.Fields(pss)[0])
		if err != nil {
			b.Fatal(err)
		}

		total, found = total+kilobytes, found+1
	}

	if found < memoryProcesses {
		b.Fatalf("%d processes have the marker", found)
	}

	return float64(total) / 1024
}

// requests sends n requests, as many at once as there are processes.
func requests(b *testing.B, h http.Handler, n int) {
	b.Helper()
	addr, server := listen(b, h)
	defer server.Close()

	var wg sync.WaitGroup
	for range memoryProcesses {
		c, err := dial(addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.conn.Close()
		wg.Go(func() {
			for range n / memoryProcesses {
				if err := c.get(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}

	wg.Wait()
}
