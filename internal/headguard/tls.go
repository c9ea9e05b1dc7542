package headguard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"
)

// strong are the cipher suites of TLS 1.2 that HTTP/2 may be spoken with, RFC 9113
// section 9.2.2.
var strong = map[uint16]bool{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       true,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         true,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       true,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         true,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: true,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   true,
}

// handshake makes the connection ready, within the time that net/http has set for
// reading. What fails is logged as net/http does.
func (c *Conn) handshake() error {
	c.shaken = true
	if d := c.guard.HeaderTimeout; d > 0 {
		// An error shows in writing.
		_ = c.SetWriteDeadline(time.Now().Add(d))
	}

	// The deadlines of the connection bound it.
	err := c.tls.HandshakeContext(context.Background())
	if err == nil {
		state := c.tls.ConnectionState()
		c.state = &state
		if c.state.NegotiatedProtocol == http2 && c.state.Version == tls.VersionTLS12 && !strong[c.state.CipherSuite] {
			err = fmt.Errorf("the client wants HTTP/2 with the cipher suite %s",
				tls.CipherSuiteName(c.state.CipherSuite))
		}
	}

	if err == nil {
		_ = c.SetWriteDeadline(time.Time{})
		return nil
	}

	// What follows is not of HTTP, and is not waited for.
	c.mode, c.dropped = refused, maxDropped
	reason := err.Error()
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && record.Conn != nil &&
		isPlain(record.RecordHeader) {
		const text = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
		// The client may have gone.
		_, _ = io.WriteString(record.Conn, text)
		reason = "client sent an HTTP request to an HTTPS server"
	}

	if c.guard.ErrorLog != nil {
		c.guard.ErrorLog.Printf("http: TLS handshake error from %s: %v", c.RemoteAddr(), reason)
	}

	return err
}
