package goapp_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/loaders/goapp"
)

// Behind Passenger the program listens where the handshake says; by hand, on $PORT.
func ExampleServe() {
	addr := freeAddress()
	_, port, _ := net.SplitHostPort(addr)
	_ = os.Setenv("PORT", port)

	ended := make(chan error)
	go func() { // the main function of the application
		ended <- goapp.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "hello")
		}))
	}()

	_ = awaited.Within(10*time.Second, func() error { return get("http://" + addr) })
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	fmt.Println("ended:", <-ended)
	// Output:
	// hello
	// ended: <nil>
}

// get prints a page.
func get(url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}

	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(os.Stdout, resp.Body)

	return err
}

// freeAddress is where no program listened a moment ago.
func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = l.Close() }()

	return l.Addr().String()
}
