package loaderproto_test

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
)

func ExampleNegotiation() {
	spawner, program := net.Pipe()
	go func() {
		defer program.Close()
		l := loaderproto.NewLoader(program, program)
		opts, err := l.Handshake()
		if err != nil {
			return
		}

		// ... load the application in opts["app_root"] and listen ...
		_ = l.Ready(&loaderproto.Ready{Sockets: []loaderproto.Socket{{
			Name:        "main",
			Address:     loaderproto.Address{Network: "unix", Addr: opts["app_root"] + "/app.sock"},
			Protocol:    loaderproto.Session,
			Concurrency: 1,
		}}})
	}()

	n := loaderproto.Negotiation{Request: loaderproto.Request{AppRoot: "/srv/app"}}
	if err := spawner.SetDeadline(time.Now().Add(90 * time.Second)); err != nil {
		fmt.Println(err)
		return
	}

	ready, _, err := n.Negotiate(spawner)
	if err != nil {
		fmt.Println(err)
		return
	}

	for _, s := range ready.Sockets {
		fmt.Println(s.Name, s.Address, s.Protocol)
	}

	// Output: main unix:/srv/app/app.sock session
}

func ExampleLoader_Error() {
	spawner, program := net.Pipe()
	go func() {
		defer program.Close()
		l := loaderproto.NewLoader(program, program)
		if _, err := l.Handshake(); err == nil {
			_ = l.Error(loaderproto.Message{Text: "no such file: config.ru"})
		}
	}()

	var n loaderproto.Negotiation
	_, _, err := n.Negotiate(spawner)
	if e, ok := errors.AsType[*loaderproto.Error](err); ok && e.Kind == loaderproto.AppError {
		fmt.Println(e.Message.Text)
	}

	// Output: no such file: config.ru
}
