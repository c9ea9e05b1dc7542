package ustrouter

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/gopassenger/passenger"
)

const (
	// attemptTimeout bounds an attempt to send a batch, and batchTimeout all of
	// them together.
	attemptTimeout = 15 * time.Second
	batchTimeout   = time.Minute
	// The first attempts of a batch are firstRetry apart, later ones up to
	// maxRetry.
	firstRetry = time.Second
	maxRetry   = 15 * time.Second
	// maxRetryAfter is how long a collector can ask us to wait.
	maxRetryAfter = 5 * time.Minute
	// maxResponse limits what is read of a collector's response, in bytes.
	maxResponse = 64 << 10
)

func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxResponse,
	}
}

// newClient follows no redirects, which would take the headers elsewhere.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: transport, Timeout: attemptTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// deliver sends a batch, again and again if that may help. It returns how many
// spans the collector did not want.
func (o *OTLP) deliver(batch []*Transaction) (rejected uint64, ok bool) {
	body, err := pack(o.spans.request(batch))
	if err != nil {
		o.failed(err)
		return 0, false
	}

	// The collector may have asked for a pause at the batch before.
	if !o.sleep(time.Until(o.notBefore)) {
		return 0, false
	}

	deadline := time.Now().Add(batchTimeout)
	for retry := firstRetry; ; retry = min(2*retry, maxRetry) {
		rejected, err = o.post(deadline, body)
		if err == nil {
			o.succeeded()
			return rejected, true
		}

		o.failed(err)
		e, temporary := errors.AsType[*temporaryError](err)
		if !temporary {
			return 0, false
		}

		pause := retry/2 + rand.N(retry/2) //nolint:gosec // G404: it keeps routers from coming all at once
		// The next batch has to keep to it as well.
		if e.after > 0 {
			pause = max(pause, e.after)
			o.notBefore = time.Now().Add(e.after)
		}

		// After the pause there would be no time for an attempt.
		if time.Now().Add(pause).After(deadline) || !o.sleep(pause) {
			return 0, false
		}
	}
}

func (o *OTLP) succeeded() {
	if o.failing {
		o.failing = false
		o.log.Info("the collector of transactions takes them again", "url", o.url)
	}
}

func (o *OTLP) failed(err error) {
	if o.ctx.Err() != nil || o.failing {
		return
	}

	o.failures.Tell(func(int) {
		o.failing = true
		o.log.Error(err, "cannot send transactions to the collector", "url", o.url)
	})
}

// sleep reports false when there is no time for it.
func (o *OTLP) sleep(d time.Duration) bool {
	if d <= 0 {
		return o.ctx.Err() == nil
	}

	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
		return true
	case <-o.ctx.Done():
		return false
	}
}

// temporaryError is one that another attempt may not have, after that time at
// the earliest.
type temporaryError struct {
	err   error
	after time.Duration
}

func (e *temporaryError) Error() string { return e.err.Error() }
func (e *temporaryError) Unwrap() error { return e.err }

func (o *OTLP) post(deadline time.Time, body []byte) (rejected uint64, err error) {
	ctx, cancel := context.WithDeadline(o.ctx, deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}

	req.Header.Set("User-Agent", passenger.ServerSoftware)

	// The operator's headers come first: those below say what the body is, which nothing may change.
	for name, value := range o.headers {
		req.Header.Set(name, value)
	}

	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	// No response may mean that the collector is being restarted.
	resp, err := o.client.Do(req)
	if err != nil {
		return 0, &temporaryError{err: err}
	}

	defer func() { _ = resp.Body.Close() }() // it is read or given up

	content, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse)) // a part of it is none
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return 0, &temporaryError{
			err: fmt.Errorf("the collector responds with the status %d: see whether it is overloaded or down",
				resp.StatusCode),
			after: retryAfter(resp.Header.Get("Retry-After")),
		}
	}

	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return 0, fmt.Errorf("the collector responds with the status %d: see whether its URL and headers are right, "+
			"and its log", resp.StatusCode)
	}

	// Whatever the response is, the status says that the collector has the spans.
	return rejectedSpans(content), nil
}

// rejectedSpans reads a response, which is empty or something else if all is well.
func rejectedSpans(content []byte) uint64 {
	var a struct {
		PartialSuccess struct {
			RejectedSpans json.RawMessage `json:"rejectedSpans"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(content, &a) != nil {
		return 0
	}

	// JSON of protocol buffers has 64 bits as a string, and allows a number.
	n, err := strconv.ParseUint(string(bytes.Trim(a.PartialSuccess.RejectedSpans, `"`)), 10, 64)
	if err != nil {
		return 0
	}

	return n
}

// retryAfter is the header's time, in seconds or a date.
func retryAfter(header string) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = time.Until(at)
	}

	return min(max(d, 0), maxRetryAfter)
}

func pack(v any) ([]byte, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	e := json.NewEncoder(zip)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}

	if err := zip.Close(); err != nil {
		return nil, err
	}

	return buf.Bytes(), nil
}
