package handler

import (
	"bufio"
	"sync"
)

const (
	readBufferSize = 16 << 10
	copyBufferSize = 32 << 10
	// mostMemory is how much of a body, either way, is kept in memory; the rest
	// is in a file.
	mostMemory = 128 << 10
)

// memory is a buffer that is given back, of one of a few sizes: thousands of
// requests may go on whose clients have sent next to nothing.
type memory struct {
	b    []byte
	size int // index of memorySizes
}

var (
	memorySizes = [...]int{4 << 10, copyBufferSize, 64 << 10, mostMemory}
	memories    [len(memorySizes)]sync.Pool
	readers     = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBufferSize) }}
)

// newMemory returns the smallest that has so many bytes, or the largest.
func newMemory(bytes int) *memory {
	size := 0
	for size < len(memorySizes)-1 && memorySizes[size] < bytes {
		size++
	}

	if m, ok := memories[size].Get().(*memory); ok {
		return m
	}

	return &memory{make([]byte, memorySizes[size]), size}
}

// bytes is how large it is; nil has none.
func (m *memory) bytes() int64 {
	if m == nil {
		return 0
	}

	return int64(len(m.b))
}

func (m *memory) free() {
	if m != nil {
		memories[m.size].Put(m)
	}
}

// grown returns a larger one with the same beginning; nil: there is none.
func (m *memory) grown() *memory {
	if m.size == len(memorySizes)-1 {
		return nil
	}

	larger := newMemory(memorySizes[m.size+1])
	copy(larger.b, m.b)
	m.free()

	return larger
}

// scratch returns so many bytes, mostMemory at most, that are the exchange's for
// one purpose at a time.
func (x *exchange) scratch(bytes int) []byte {
	if x.buf == nil || len(x.buf.b) < bytes {
		x.buf.free()
		x.buf = newMemory(bytes)
	}

	return x.buf.b
}

// readFromConn makes the application's connection what is read from.
func (x *exchange) readFromConn() {
	if x.br == nil {
		x.br = readers.Get().(*bufio.Reader) //nolint:forcetypeassert,errcheck // the pool's New makes nothing else
	}

	x.br.Reset(x.conn)
}
