package pace

import "context"

// Unsent returns how many of the bytes that were written to a client's connection the client has not taken yet. known
// is false where nothing is being written, or the system does not say it. The kernel takes a lot for a client, and then
// nothing until a third of it is gone: meanwhile only this tells a client that reads slowly from one that does not.
type Unsent func() (bytes int64, known bool)

type connKey struct{}

// ConnKey is the key of a request's context for the Unsent of its connection.
var ConnKey any = connKey{}

// WithUnsent returns a context for the requests of a connection.
func WithUnsent(ctx context.Context, unsent Unsent) context.Context {
	return context.WithValue(ctx, ConnKey, unsent)
}

// UnsentOf returns what [WithUnsent] was given; nil where it was not called.
func UnsentOf(ctx context.Context) Unsent {
	unsent, _ := ctx.Value(ConnKey).(Unsent)
	return unsent
}
