package loaderproto_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

const (
	flood   = 50 << 20
	noiseAt = 8 << 10 // the longest piece
)

// recorder collects noise and checks how it is cut.
type recorder struct {
	strings.Builder
	uneven int // pieces that are neither a line nor noiseAt long
}

func (r *recorder) piece(p []byte) {
	if !bytes.HasSuffix(p, []byte("\n")) && len(p) != noiseAt {
		r.uneven++
	}

	r.Write(p)
}

func TestNoise(t *testing.T) {
	block := strings.TrimSuffix(readyBlock("socket: main;unix:/tmp/a.sock;session;1"), "!> \n")

	long := strings.Repeat("x", 3*noiseAt+1)
	for name, tc := range map[string]struct {
		says, noise []string
	}{
		"none":   {says: []string{control, readyOK}},
		"before": {says: []string{"a\n", "b\n", control, readyOK}, noise: []string{"a\n", "b\n"}},
		"everywhere": {
			says:  []string{"a\n", control, "b\n", "\n", block, "c\n", "!> \n"},
			noise: []string{"a\n", "b\n", "\n", "c\n"},
		},
		"almost marks": {
			says:  []string{"!>\n", "!>x\n", " !> x\n", "!\n", "\x00\xff\n", control, readyOK},
			noise: []string{"!>\n", "!>x\n", " !> x\n", "!\n", "\x00\xff\n"},
		},
		"long line": {
			says:  []string{long, "\n", control, long, "!> Ready\n", readyOK},
			noise: []string{long, "\n", long, "!> Ready\n"},
		},
		"marker where a piece begins": {
			says:  []string{strings.Repeat("x", noiseAt), "!> Error\n", control, readyOK},
			noise: []string{strings.Repeat("x", noiseAt), "!> Error\n"},
		},
		"line as long as a piece": {
			says:  []string{strings.Repeat("x", noiseAt-1), "\n", control, readyOK},
			noise: []string{strings.Repeat("x", noiseAt-1), "\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var noise recorder
			n := loaderproto.Negotiation{Noise: noise.piece}
			_, _, err := n.Negotiate(says(tc.says...))
			require.NoError(t, err)
			require.Equal(t, strings.Join(tc.noise, ""), noise.String())
			require.Zero(t, noise.uneven)
		})
	}
}

// The last words of a program often lack a newline.
func TestNoiseAtTheEnd(t *testing.T) {
	var noise recorder
	n := loaderproto.Negotiation{Noise: noise.piece}
	_, _, err := n.Negotiate(says(control, "Killed\nout of mem"))
	requireKind(t, err, loaderproto.ExitedEarly, loaderproto.AwaitReply)
	require.Equal(t, "Killed\nout of mem", noise.String())
}

func TestMessagesOfEveryLength(t *testing.T) {
	for _, around := range []int{noiseAt, 2 * noiseAt, loaderproto.MaxLine - noiseAt, loaderproto.MaxLine} {
		for length := around - 5; length <= around+5; length++ {
			const head, tail = "socket: ", ";unix:/a;session;1"
			name := strings.Repeat("n", length-len(head)-len(tail))
			r, err := negotiateReady(nil, head+name+tail)
			if length > loaderproto.MaxLine {
				requireKind(t, err, loaderproto.LineTooLong, loaderproto.ReadReady)
				continue
			}

			require.NoErrorf(t, err, "%d bytes", length)
			require.Equal(t, name, r.Sockets[0].Name)
		}
	}
}

// Whatever amount a program prints, the spawner holds little of it.
func TestFloods(t *testing.T) {
	const little = 1 << 20

	manyWords := strings.Repeat("noise ", 40) + "\n"
	for name, tc := range map[string]struct {
		flood  string
		before string
		after  string
		kind   loaderproto.Kind // zero means success
	}{
		"short lines":          {manyWords, "", control + readyOK, 0},
		"no newline":           {"x", control, "\n" + readyOK, 0},
		"in a block":           {manyWords, control + "!> Ready\n", "!> socket: a;unix:/a;session;1\n!> \n", 0},
		"no newline, then end": {"x", control, "", loaderproto.ExitedEarly},
		"message, no newline":  {"x", control + "!> ", "\n" + readyOK, loaderproto.LineTooLong},
		"error text":           {"text\n", control + "!> Error\n!> \n", "", loaderproto.AppError},
		"block":                {"!> a: b\n", "!> Error\n", "!> \n", loaderproto.BlockTooLong},
		"handshakes":           {control, "", "", loaderproto.BlockTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			conn := &script{Reader: io.MultiReader(
				strings.NewReader(tc.before), repeated(tc.flood, flood), strings.NewReader(tc.after),
			)}
			got := 0
			n := loaderproto.Negotiation{Noise: func(p []byte) { got += len(p) }}
			var err error
			require.Less(t, allocated(func() { _, _, err = n.Negotiate(conn) }), uint64(little))
			if tc.kind != 0 {
				require.Equal(t, tc.kind, asError(t, err).Kind)
				return
			}

			require.NoError(t, err)
			require.Greater(t, got, flood-len(tc.flood))
		})
	}
}

func TestFloodsOfLoader(t *testing.T) {
	const little = 1 << 20

	for name, tc := range map[string]struct {
		flood  string
		before string
		kind   loaderproto.Kind
		step   loaderproto.Step
	}{
		"reply":     {"x", "", loaderproto.LineTooLong, loaderproto.AwaitHandshake},
		"key":       {"x", "You have control 1.0\n", loaderproto.LineTooLong, loaderproto.SendRequest},
		"many keys": {"a: b\n", "You have control 1.0\n", loaderproto.BlockTooLong, loaderproto.SendRequest},
	} {
		t.Run(name, func(t *testing.T) {
			in := io.MultiReader(strings.NewReader(tc.before), repeated(tc.flood, flood))
			var err error
			require.Less(t, allocated(func() {
				_, err = loaderproto.NewLoader(in, io.Discard).Handshake()
			}), uint64(little))
			requireKind(t, err, tc.kind, tc.step)
		})
	}
}
