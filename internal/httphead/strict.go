package httphead

import "context"

type strictKey struct{}

// WithStrict returns a context for the requests of a connection whose heads, and the
// framing of whose bodies, this package has read before anything else did.
func WithStrict(ctx context.Context) context.Context {
	return context.WithValue(ctx, strictKey{}, true)
}

// IsStrict reports whether a request's context is one of [WithStrict].
func IsStrict(ctx context.Context) bool { return ctx.Value(strictKey{}) != nil }
