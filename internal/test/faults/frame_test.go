//go:build linux

package faults_test

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	final = 0x80
	// mask is what each frame of ours is masked with.
	mask = "\x12\x34\x56\x78"
)

// frame is one of a WebSocket.
type frame struct {
	first   byte // with the bit final, or without
	payload string
}

// masked is the frame as a client sends it.
func (f *frame) masked() string {
	var b strings.Builder
	b.WriteByte(f.first)

	switch n := len(f.payload); {
	case n < 126:
		b.WriteByte(0x80 | byte(n))
	case n < 1<<16:
		b.WriteByte(0x80 | 126)
		b.Write(binary.BigEndian.AppendUint16(nil, uint16(n)))
	default:
		b.WriteByte(0x80 | 127)
		b.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}

	b.WriteString(mask)

	for i := range len(f.payload) {
		b.WriteByte(f.payload[i] ^ mask[i%4])
	}

	return b.String()
}

// frame reads one of the server, which masks none.
func (c *raw) frame(t testing.TB) *frame {
	t.Helper()
	head := make([]byte, 2)
	_, err := io.ReadFull(c.in, head)
	require.NoError(t, err)
	require.Zero(t, head[1]&0x80, "masked by the server")
	length := uint64(head[1])
	if length >= 126 {
		long := make([]byte, map[uint64]int{126: 2, 127: 8}[length])
		_, err = io.ReadFull(c.in, long)
		require.NoError(t, err)

		length = 0
		for _, b := range long {
			length = length<<8 | uint64(b)
		}
	}

	payload := make([]byte, length)
	_, err = io.ReadFull(c.in, payload)
	require.NoError(t, err)

	return &frame{head[0], string(payload)}
}

const upgrade = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// socket opens a WebSocket, with what is sent right behind the request in the
// same packet.
func (s *server) socket(t testing.TB, behind ...*frame) *raw {
	t.Helper()

	text := "GET /socket HTTP/1.1\r\n" + upgrade
	for _, f := range behind {
		text += f.masked()
	}

	c := s.dial(t, text)
	c.requireSwitched(t)

	return c
}

// requireSwitched reads the head of the response, and nothing of what follows.
func (c *raw) requireSwitched(t testing.TB) {
	t.Helper()

	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := c.in.ReadString('\n')
		require.NoError(t, err, "%s", &head)
		head.WriteString(line)
	}

	require.Contains(t, head.String(), "HTTP/1.1 101 ")
	require.Contains(t, head.String(), "Upgrade: websocket\r\n")
}
