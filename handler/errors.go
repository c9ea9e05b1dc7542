package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/fcgiproto"
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

	// errPanicked is for what is reported of a request, whose panic comes out of ServeHTTP.
	errPanicked = errors.New("the request was given up: middleware, or another function of the program, panicked")

	errBodyTooLarge = errors.New("the request's body exceeds the limit")
	errBusy         = errors.New("the process did not accept the connection in time")
	errTooSlow      = errors.New("the request exceeded its time limit")
	errAppDied      = errors.New("the application closed the connection before it responded")
	// errNoResponse means that the connection ended before the first byte of a response.
	errNoResponse  = fmt.Errorf("%w: no byte of a response came", errAppDied)
	errCutShort    = errors.New("the application ended its response too early")
	errBadResponse = errors.New("the application's response is malformed")
	// errStreamEnded is for what is reported of a stream of events; its client sees a cut response.
	errStreamEnded = errors.New("the server ended the stream: it shuts down, the application was removed, or the " +
		"client was disconnected")
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
	{is(errBadRequest), refusal(http.StatusBadRequest, "The request is not well-formed.")},
	{is(errLongTarget), refusal(http.StatusRequestURITooLong, "The request's address is too long.")},
	{is(errLargeHead), refusal(http.StatusRequestHeaderFieldsTooLarge, "The request's header is too large.")},
	{is(errBodyTooLarge), refusal(http.StatusRequestEntityTooLarge, "The request's body is too large.")},
	{is(errClientSlow), refusal(http.StatusRequestTimeout, "The request's body came too slowly.")},
	{
		is(errBodyLength),
		failure(http.StatusInternalServerError, "The server has changed the request's body on its way."),
	},
	{is(errBadUpload), refusal(http.StatusBadRequest, "The request's body is not well-formed.")},
	{is(errNotFound), refusal(http.StatusNotFound, "There is nothing at this address.")},
	{is(errMethod), refusal(http.StatusNotImplemented, "The request's method is not supported.")},
	{
		is(fcgiproto.ErrTooLarge),
		refusal(http.StatusRequestHeaderFieldsTooLarge, "The request's header is too large."),
	},
	{
		is(sessionproto.ErrTooLarge),
		refusal(http.StatusRequestHeaderFieldsTooLarge, "The request's header is too large."),
	},
	{is(errNoSpace), failure(http.StatusInsufficientStorage, "There is no room for the request's body.")},
	{is(errNoRoom), refusal(http.StatusInsufficientStorage, "There is no room for the request's body.")},
	{is(errNoFile), refusal(http.StatusNotFound, "There is no such file.")},
	{
		as[*passenger.QueueFullError],
		overload("The application is under heavy load: too many requests wait for it already."),
	},
	{is(errQueueShare), overload("Too many requests of this connection wait for the application already.")},
	{is(errStreamEnded), overload("The server is shutting down.")},
	{is(passenger.ErrClosed), overload("The server is shutting down.")},
	{is(fcgiproto.ErrOverloaded), overload("The application is too busy to take the request.")},
	{is(errBusy), overload("The application is too busy to take the request.")},
	{is(passenger.ErrExhausted), overload("The server is out of resources.")},
	{as[*spawner.SpawnError], failure(http.StatusInternalServerError, "The application could not be started.")},
	{
		is(passenger.ErrQueueTimeout),
		failure(http.StatusGatewayTimeout, "The request waited too long for the application."),
	},
	{is(passenger.ErrCrashed), overload("The application has crashed, and has to wait before it starts again.")},
	{is(passenger.ErrAppDetached), overload("The application was removed.")},
	{is(errTooSlow), failure(http.StatusGatewayTimeout, "The application took too long to respond.")},
	{is(context.DeadlineExceeded), failure(http.StatusGatewayTimeout, "The application took too long to respond.")},
	{as[*passenger.ConnectError], failure(http.StatusBadGateway, "The application does not accept connections.")},
	{is(errAppDied), failure(http.StatusBadGateway, "The application closed the connection before it responded.")},
	{is(errCutShort), failure(http.StatusBadGateway, "The application ended its response too early.")},
	{is(errBadResponse), failure(http.StatusBadGateway, "The application's response is not well-formed.")},
	{func(error) bool { return true }, failure(http.StatusInternalServerError, "Something went wrong.")},
}

// refusal is the outcome of an error that is not worth a line in the log: mostly the client's.
func refusal(status int, message string) outcome {
	return outcome{status: status, message: message, quiet: true}
}

// failure is the outcome of an error of the application's, or ours.
func failure(status int, message string) outcome { return outcome{status: status, message: message} }

// overload is the outcome of an error that a client may get over by trying again.
func overload(message string) outcome {
	return outcome{status: http.StatusServiceUnavailable, message: message, retryAfter: 1}
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
