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

// The errors of a request, beside those of the pool.
var (
	// errClientGone means that no client is there to get a response.
	errClientGone = errors.New("the client has gone")

	errBadRequest = errors.New("the request cannot be forwarded")
	errNotFound   = errors.New("the request is not for this application")
	errMethod     = errors.New("the method is not forwarded")
	errBadUpload  = errors.New("the request's body is malformed")
	// errBodyLength is a fault of the program that the handler is in.
	errBodyLength = errors.New("the request's body is not as long as its Content-Length says: " +
		"let middleware that replaces a body set ContentLength too, to -1 if it does not know")
	errNoSpace = errors.New("the request's body cannot be stored")
	// errNoRoom is logged once for many.
	errNoRoom     = errors.New("there is no room for the request's body")
	errLongTarget = errors.New("the request's target is too long")
	errLargeHead  = errors.New("the request's header is too large")
	errClientSlow = errors.New("the client sends the request's body too slowly")
	errNoFile     = errors.New("the file that the application named cannot be sent")

	errBodyTooLarge = errors.New("the request's body exceeds the limit")
	errBusy         = errors.New("the process did not accept the connection in time")
	errTooSlow      = errors.New("the request exceeded its time limit")
	errAppDied      = errors.New("the application closed the connection before it responded")
	// errNoResponse means that the connection ended before the first byte of a response.
	errNoResponse  = fmt.Errorf("%w: no byte of a response came", errAppDied)
	errCutShort    = errors.New("the application ended its response too early")
	errBadResponse = errors.New("the application's response is malformed")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBadResponse, fmt.Sprintf(format, args...))
}

// outcome is what the client sees of an error.
type outcome struct {
	status int
	// message is one sentence for the client.
	message string
	// retryAfter is in seconds; zero means that the field is not sent.
	retryAfter int
	// quiet reports whether the error is the client's, and not worth a line in the log.
	quiet bool
}

// outcomes are tried in order.
var outcomes = []struct {
	match func(error) bool
	outcome
}{
	{is(errBadRequest), outcome{
		status:  http.StatusBadRequest,
		message: "The request is not well-formed.",
		quiet:   true,
	}},
	{is(errLongTarget), outcome{
		status:  http.StatusRequestURITooLong,
		message: "The request's address is too long.",
		quiet:   true,
	}},
	{is(errLargeHead), outcome{
		status:  http.StatusRequestHeaderFieldsTooLarge,
		message: "The request's header is too large.",
		quiet:   true,
	}},
	{is(errBodyTooLarge), outcome{
		status:  http.StatusRequestEntityTooLarge,
		message: "The request's body is too large.",
		quiet:   true,
	}},
	{is(errClientSlow), outcome{
		status:  http.StatusRequestTimeout,
		message: "The request's body came too slowly.",
		quiet:   true,
	}},
	{is(errBodyLength), outcome{
		status:  http.StatusInternalServerError,
		message: "The server has changed the request's body on its way to the application.",
	}},
	{is(errBadUpload), outcome{
		status:  http.StatusBadRequest,
		message: "The request's body is not well-formed.",
		quiet:   true,
	}},
	{is(errNotFound), outcome{status: http.StatusNotFound, message: "There is nothing at this address.", quiet: true}},
	{is(errMethod), outcome{
		status:  http.StatusNotImplemented,
		message: "The request's method is not supported.",
		quiet:   true,
	}},
	{is(sessionproto.ErrTooLarge), outcome{
		status:  http.StatusRequestHeaderFieldsTooLarge,
		message: "The request's header is too large.",
		quiet:   true,
	}},
	{is(errNoSpace), outcome{
		status:  http.StatusInsufficientStorage,
		message: "There is no room for the request's body.",
	}},
	{is(errNoRoom), outcome{
		status:  http.StatusInsufficientStorage,
		message: "There is no room for the request's body.",
		quiet:   true,
	}},
	{is(errNoFile), outcome{status: http.StatusNotFound, message: "There is no such file.", quiet: true}},
	{as[*passenger.QueueFullError], outcome{
		status:     http.StatusServiceUnavailable,
		message:    "The application is under heavy load: too many requests wait for it already.",
		retryAfter: 1,
	}},
	{is(errQueueShare), outcome{
		status:     http.StatusServiceUnavailable,
		message:    "Too many requests of this connection wait for the application already.",
		retryAfter: 1,
	}},
	{is(passenger.ErrClosed), outcome{
		status:     http.StatusServiceUnavailable,
		message:    "The server is shutting down.",
		retryAfter: 1,
	}},
	{is(errBusy), outcome{
		status:     http.StatusServiceUnavailable,
		message:    "The application is too busy to take the request.",
		retryAfter: 1,
	}},
	{is(passenger.ErrExhausted), outcome{
		status:     http.StatusServiceUnavailable,
		message:    "The server is out of resources.",
		retryAfter: 1,
	}},
	{as[*spawner.SpawnError], outcome{
		status:  http.StatusInternalServerError,
		message: "The application could not be started.",
	}},
	{is(passenger.ErrQueueTimeout), outcome{
		status:  http.StatusGatewayTimeout,
		message: "The request waited too long for the application.",
	}},
	{is(passenger.ErrAppDetached), outcome{
		status:     http.StatusServiceUnavailable,
		message:    "The application was removed.",
		retryAfter: 1,
	}},
	{is(errTooSlow), outcome{
		status:  http.StatusGatewayTimeout,
		message: "The application took too long to respond.",
	}},
	{is(context.DeadlineExceeded), outcome{
		status:  http.StatusGatewayTimeout,
		message: "The application took too long to respond.",
	}},
	{as[*passenger.ConnectError], outcome{
		status:  http.StatusBadGateway,
		message: "The application does not accept connections.",
	}},
	{is(errAppDied), outcome{
		status:  http.StatusBadGateway,
		message: "The application closed the connection before it responded.",
	}},
	{is(errCutShort), outcome{
		status:  http.StatusBadGateway,
		message: "The application ended its response too early.",
	}},
	{is(errBadResponse), outcome{
		status:  http.StatusBadGateway,
		message: "The application's response is not well-formed.",
	}},
	{func(error) bool { return true }, outcome{
		status:  http.StatusInternalServerError,
		message: "Something went wrong.",
	}},
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func outcomeOf(err error) outcome {
	for _, o := range outcomes {
		if o.match(err) {
			return o.outcome
		}
	}

	return outcome{}
}

// StatusCode returns the status of the response to a request that failed with err, an error of the pool or of this
// package.
func StatusCode(err error) int { return outcomeOf(err).status }
