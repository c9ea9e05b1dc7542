package fcgiproto_test

import (
	"fmt"
	"io"
	"net"

	"github.com/gopassenger/passenger/fcgiproto"
)

func ExampleEncoder() {
	server, app := net.Pipe()
	go respond(app)

	var e fcgiproto.Encoder
	e.Begin(false)
	e.Add("REQUEST_METHOD", "POST")
	e.Add("CONTENT_LENGTH", "5")
	e.EndParams()
	e.Stdin([]byte("hello"))
	e.EndStdin()

	request, err := e.Bytes()
	if err != nil {
		fmt.Println(err)
		return
	}

	if _, err := server.Write(request); err != nil {
		fmt.Println(err)
		return
	}

	var response fcgiproto.Reader
	response.Reset(server, func(line []byte) { fmt.Printf("log: %s\n", line) })
	text, err := io.ReadAll(&response)
	fmt.Printf("%s %v\n", text, err)
	// Output:
	// log: a request
	// POST hello <nil>
}

// respond is an application.
func respond(conn net.Conn) {
	defer func() { _ = conn.Close() }()

	request, err := fcgiproto.NewConn(conn).Accept()
	if err != nil {
		return
	}

	body, _ := io.ReadAll(request.Stdin())
	_ = request.Stderr([]byte("a request\n"))
	_ = request.Stdout([]byte(request.Params["REQUEST_METHOD"] + " " + string(body)))
	_ = request.End(0, fcgiproto.RequestComplete)
}
