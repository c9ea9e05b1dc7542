package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// blockHandler is a text handler that people can read also where a value has several
// lines, as a traceback has: those values follow the record's line, each line of them
// behind a bar, so that no application can forge a record.
type blockHandler struct {
	inner  slog.Handler
	out    *blockOutput
	format logFormat
	// prefix is of groups; blocks are values of several lines that WithAttrs was given.
	prefix string
	blocks []slog.Attr
}

// blockOutput is shared by a handler and what is derived from it.
type blockOutput struct {
	mu  sync.Mutex
	buf bytes.Buffer
	w   io.Writer
}

func newBlockHandler(w io.Writer, level slog.Leveler, format logFormat) *blockHandler {
	out := &blockOutput{w: w}
	options := slog.HandlerOptions{Level: level}
	if format == textFormat {
		options.ReplaceAttr = withoutHead
	}

	return &blockHandler{inner: slog.NewTextHandler(&out.buf, &options), out: out, format: format}
}

// withoutHead leaves out what a line for people begins with.
func withoutHead(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}

	return a
}

// writeHead begins a line for people.
func (h *blockHandler) writeHead(r *slog.Record) {
	if h.format != textFormat {
		return
	}

	b := r.Time.AppendFormat(nil, time.TimeOnly)
	b = append(b, ' ')
	b = append(b, r.Level.String()...)
	b = append(b, ' ')
	h.out.buf.Write(append(appendPrintable(b, r.Message, false), ' '))
}

// Enabled is slog.Handler's.
func (h *blockHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

// Handle writes a record at once.
func (h *blockHandler) Handle(ctx context.Context, r slog.Record) error {
	short, blocks := slog.NewRecord(r.Time, r.Level, r.Message, r.PC), h.blocks
	r.Attrs(func(a slog.Attr) bool {
		if _, ok := linesOf(a); ok {
			a.Key = h.prefix + a.Key
			// Clipped, since two derived handlers would append to the same memory.
			blocks = append(slices.Clip(blocks), a)
		} else {
			short.AddAttrs(a)
		}

		return true
	})

	// The inner handler writes to the buffer, and the whole record goes out at once: lines do not mix.
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.buf.Reset()
	h.writeHead(&r)
	if err := h.inner.Handle(ctx, short); err != nil {
		return err
	}

	if h.format == textFormat && bytes.HasSuffix(h.out.buf.Bytes(), []byte(" \n")) {
		h.out.buf.Truncate(h.out.buf.Len() - len(" \n")) // there are no values
		h.out.buf.WriteByte('\n')
	}

	for _, a := range blocks {
		text, _ := linesOf(a)
		writeBlock(&h.out.buf, a.Key, text)
	}

	_, err := h.out.w.Write(h.out.buf.Bytes())

	return err
}

// WithAttrs is slog.Handler's.
func (h *blockHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	derived := *h

	var short []slog.Attr
	for _, a := range attrs {
		if _, ok := linesOf(a); ok {
			a.Key = h.prefix + a.Key
			derived.blocks = append(slices.Clip(derived.blocks), a)
		} else {
			short = append(short, a)
		}
	}

	derived.inner = h.inner.WithAttrs(short)

	return &derived
}

// WithGroup is slog.Handler's.
func (h *blockHandler) WithGroup(name string) slog.Handler {
	derived := *h
	derived.inner = h.inner.WithGroup(name)
	if name != "" {
		derived.prefix += name + "."
	}

	return &derived
}

// linesOf returns the text of a value if that has several lines.
func linesOf(a slog.Attr) (text string, ok bool) {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		text = v.String()
	case slog.KindAny:
		if err, isError := v.Any().(error); isError {
			text = err.Error()
		}
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64,
		slog.KindGroup,
		slog.KindLogValuer:
	}

	return text, strings.Contains(strings.TrimRight(text, "\n"), "\n")
}

func writeBlock(b *bytes.Buffer, key, text string) {
	fmt.Fprintf(b, "  %s:\n", key)

	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString("  | ")
		line = strings.ReplaceAll(line, "\t", "    ")
		b.Write(append(appendPrintable(b.AvailableBuffer(), line, false), '\n'))
	}
}
