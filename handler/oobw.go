package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner"
)

// requestOOBW is the field by which an application asks for out-of-band work, whatever its value.
var requestOOBW = http.CanonicalHeaderKey("!~Request-OOB-Work")

// httpOOBW is the request by HTTP: no field with such a name comes from a client.
const httpOOBW = "GET / HTTP/1.1\r\nHost: localhost\r\n!~Passenger-Control: OOBW\r\nConnection: close\r\n\r\n"

// OutOfBandWork makes a process do its out-of-band work and waits until it is done. It is made for
// passenger.Config.OutOfBandWork. The session protocol has such a request, and by HTTP, loaders that have agreed on it.
func OutOfBandWork(ctx context.Context, s *passenger.Session) error {
	if !s.TakesOutOfBandWork() {
		return errors.New("the process cannot be asked for it: its loader has no such request")
	}

	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}

	stop := context.AfterFunc(ctx, func() { interrupt(conn) })
	defer stop()

	request := []byte(httpOOBW)
	if s.Protocol() == spawner.SessionProtocol {
		if request, err = sessionproto.OOBW(s.ConnectPassword()); err != nil {
			return err
		}
	}

	if _, err := conn.Write(request); err != nil {
		return err
	}

	// Any response will do, as will the end of the connection.
	if _, err := conn.Read(make([]byte, 1)); ctx.Err() != nil {
		return fmt.Errorf("the process did not finish: %w", err)
	}

	return nil
}
