package apiserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/connstate"
)

const (
	headTimeout     = 10 * time.Second
	idleTimeout     = 60 * time.Second
	shutdownTimeout = 10 * time.Second
	maxHead         = 64 << 10
)

// Serve serves h on l until ctx ends or l is closed; then calls that go on have ten
// seconds to end. Its error is l's, which is closed in any case. It is for handlers
// of this package: a head has 64 KiB and ten seconds, and a user few connections of
// those that there may be, so that no caller keeps others from calling. Root and the
// user of this program have others than the rest. The context of calls ends with ctx.
//
// log gets what goes wrong with connections, and panics.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log logr.Logger) error {
	conns := connstate.New()
	server := &http.Server{
		Handler:                      h,
		ConnContext:                  ConnContext,
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnState:                    conns.Track,
		ReadHeaderTimeout:            headTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(logr.ToSlogHandler(log), slog.LevelError),
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	err := server.Serve(newCountedListener(l))
	if !errors.Is(err, net.ErrClosed) {
		_ = server.Close() // err says what is wrong
		return err
	}

	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	server.SetKeepAlivesEnabled(false)
	conns.WaitQuiet(end)
	if server.Shutdown(end) != nil {
		_ = server.Close() // the listener is closed already
	}

	return nil
}
