package sessionproto_test

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/gopassenger/passenger/sessionproto"
)

func ExampleEncoder() {
	var e sessionproto.Encoder
	for _, path := range []string{"/", "/a"} {
		e.Reset()
		e.Add("REQUEST_METHOD", "GET")
		e.Add("REQUEST_URI", path)
		e.AddHeader("Accept-Encoding", "br")
		b, err := e.Bytes()
		if err != nil {
			fmt.Println(err)
			return
		}

		fmt.Printf("%q\n", b)
	}

	// Output:
	// "\x00\x00\x009REQUEST_METHOD\x00GET\x00REQUEST_URI\x00/\x00HTTP_ACCEPT_ENCODING\x00br\x00"
	// "\x00\x00\x00:REQUEST_METHOD\x00GET\x00REQUEST_URI\x00/a\x00HTTP_ACCEPT_ENCODING\x00br\x00"
}

func ExampleReadHeader() {
	ping, err := sessionproto.Ping("secret")
	if err != nil {
		fmt.Println(err)
		return
	}

	conn := bytes.NewReader(ping)

	h, err := sessionproto.ReadHeader(conn)
	if err != nil {
		fmt.Println(err)
		return
	}

	if err := h.CheckPassword("secret"); err != nil {
		fmt.Println(err)
		return
	}

	if h.IsPing() {
		_, _ = io.WriteString(os.Stdout, sessionproto.PingReply)
	}

	// Output: pong
}
