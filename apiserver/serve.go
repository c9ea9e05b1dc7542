package apiserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
)

const (
	headTimeout     = 10 * time.Second
	idleTimeout     = 60 * time.Second
	shutdownTimeout = 10 * time.Second
	maxHead         = 64 << 10
)

// Serve serves h on l, which it closes, until ctx ends; then calls that go on
// have ten seconds to end. Its error is l's. It is for handlers of this package:
// a head has 64 KiB and ten seconds, and a user few connections of those that
// there may be, so that nobody keeps others from calling. Root and the user of
// this program have others than the rest.
//
// log gets what goes wrong with connections, and panics.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log logr.Logger) error {
	server := &http.Server{
		Handler: h, ConnContext: ConnContext, BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHead,
		DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(log), slog.LevelError),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(end) != nil {
			_ = server.Close() // the listener is closed already
		}
	})
	err := server.Serve(newCountedListener(l))
	if stop() {
		_ = server.Close() // err says what is wrong
		return err
	}
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
