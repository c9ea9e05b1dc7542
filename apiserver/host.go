package apiserver

import (
	"bytes"
	"io"
)

// hostAdder adds the header Host to the first request of a connection, if that has
// none: Passenger's own tools send none, and HTTP/1.1 wants one. On a Unix socket
// it means nothing.
type hostAdder struct {
	in io.Reader
	// head is what was read and not passed on yet; ready reports whether it may be.
	head  []byte
	ready bool
	err   error
}

var (
	endOfHead = []byte("\r\n\r\n")
	endOfLine = []byte("\r\n")
	hostName  = []byte("\r\nhost:")
	someHost  = []byte("\r\nHost: passenger\r\n")
)

func (h *hostAdder) Read(p []byte) (int, error) {
	if !h.ready {
		h.readHead()
	}

	if len(h.head) > 0 {
		n := copy(p, h.head)
		h.head = h.head[n:]
		return n, nil
	}

	if h.err != nil {
		return 0, h.err
	}

	h.head = nil

	return h.in.Read(p)
}

// readHead reads until the end of the head. One that does not end, or is too
// long, is passed on as it is.
func (h *hostAdder) readHead() {
	h.ready = true

	buf := make([]byte, 4<<10)
	for h.err == nil && len(h.head) <= maxHead {
		var n int
		n, h.err = h.in.Read(buf)
		before := max(len(h.head)-len(endOfHead)+1, 0)
		h.head = append(h.head, buf[:n]...)
		end := bytes.Index(h.head[before:], endOfHead)
		if end < 0 {
			continue
		}

		head := h.head[:before+end+len(endOfLine)]
		if line := bytes.Index(head, endOfLine); line >= 0 && !bytes.Contains(bytes.ToLower(head), hostName) {
			h.head = bytes.Join([][]byte{h.head[:line], h.head[line+len(endOfLine):]}, someHost)
		}

		return
	}
}
