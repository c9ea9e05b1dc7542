package httphead

import "context"

type strictKey struct{}

// WithStrict returns a context for the requests of a connection whose heads, and the
// framing of whose bodies, this package has read before anything else did. reader is who
// does, for [StrictReader].
func WithStrict(ctx context.Context, reader any) context.Context {
	return context.WithValue(ctx, strictKey{}, reader)
}

// StrictReader returns what [WithStrict] was given; nil where it was not called.
func StrictReader(ctx context.Context) any { return ctx.Value(strictKey{}) }

// IsStrict reports whether a request's context is one of [WithStrict].
func IsStrict(ctx context.Context) bool { return StrictReader(ctx) != nil }
