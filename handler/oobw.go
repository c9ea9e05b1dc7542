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

// OutOfBandWork makes a process do its out-of-band work and waits until it is done. It is made for
// passenger.Config.OutOfBandWork. Only the session protocol has such a request.
func OutOfBandWork(ctx context.Context, s *passenger.Session) error {
	if s.Protocol() != spawner.SessionProtocol {
		return errors.New("the process does not speak the session protocol")
	}

	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}

	stop := context.AfterFunc(ctx, func() { interrupt(conn) })
	defer stop()
	request, err := sessionproto.OOBW(s.ConnectPassword())
	if err != nil {
		return err
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
