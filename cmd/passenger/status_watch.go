package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/terminal"
)

// statusWatch shows an instance again and again. When that is gone, it waits for
// one that the same selection finds.
type statusWatch struct {
	*status
	instance *instancedir.Instance
}

func (s *status) runWatch(ctx context.Context, cmd *cobra.Command, instance *instancedir.Instance) error {
	w := &statusWatch{status: s, instance: instance}
	in, inOK := cmd.InOrStdin().(*os.File)
	out, outOK := cmd.OutOrStdout().(*os.File)
	if !inOK || !outOK || !terminal.Is(in) || !terminal.Is(out) || os.Getenv("TERM") == "dumb" {
		return w.print(ctx, cmd.OutOrStdout())
	}

	return w.show(ctx, in, out)
}

// look is what there is to see now.
func (w *statusWatch) look(ctx context.Context) string {
	if w.instance == nil {
		instance, err := w.which.choose(instancedir.List(instancedir.Registries(os.Getenv)))
		if several, ok := errors.AsType[*instancedir.AmbiguousError](err); ok {
			return fmt.Sprintf("Several instances run now, such as %s and %s: choose one by its name.\n",
				several.Instances[0].Name, several.Instances[1].Name)
		}

		if err != nil {
			return fmt.Sprintf("Date    : %s\n\nNo instance is running: waiting for one.\n", now())
		}

		w.instance = instance
	}

	text, err := w.text(ctx, w.instance)
	if err == nil {
		return text
	}

	name := w.instance.Name
	if !runs(w.instance) {
		w.instance = nil
		return fmt.Sprintf("Date    : %s\n\nThe instance %s has ended: waiting for another one.\n", now(), name)
	}

	return fmt.Sprintf("Date    : %s\nInstance: %s\n\n%v\n", now(), name, err)
}

// print is for what is no terminal.
func (w *statusWatch) print(ctx context.Context, out io.Writer) error {
	tick := time.NewTicker(w.interval)
	defer tick.Stop()

	for {
		text := w.look(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}

		if _, err := io.WriteString(out, text); err != nil {
			return err
		}

		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// show takes the whole terminal, until the user leaves.
func (w *statusWatch) show(ctx context.Context, in, out *os.File) (err error) {
	screen, err := terminal.OpenScreen(in, out)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, screen.Close()) }()
	looking, stop := context.WithCancel(ctx)
	again := make(chan struct{}, 1)
	looks := w.looks(looking, screen, again)
	defer func() {
		// The last look still needs the screen, which is closed after this.
		stop()

		for range looks { // until the last one is made
		}
	}()

	var lines []string
	for top := 0; ; {
		height := screen.Height() - 1
		top = max(min(top, len(lines)-height), 0)

		visible := slices.Clone(lines[top:min(len(lines), top+height)])
		for len(visible) < height {
			visible = append(visible, "")
		}

		if err := screen.Draw(append(visible, w.hint(len(lines), top, height))); err != nil {
			return err
		}

		select {
		case text, more := <-looks:
			if !more {
				return ctx.Err()
			}

			lines = strings.Split(strings.TrimRight(text, "\n"), "\n")
		case <-screen.Resized():
		case <-ctx.Done():
			return ctx.Err()
		case key, more := <-screen.Keys():
			if !more || key == 'q' || key == 'Q' || key == terminal.Leave {
				return nil
			}

			if w.sortBy(key) {
				select {
				case again <- struct{}{}:
				default:
					// It looks in a moment.
				}
			}

			top = scroll(key, top, height, len(lines))
		}
	}
}

// sortBy reports whether a key has chosen another order of the table.
func (w *statusWatch) sortBy(key terminal.Key) bool {
	order := admin.OverviewOrder(key)
	if !w.table || !order.Known() {
		return false
	}

	w.order.Store(int32(order))

	return true
}

// looks gets what there is to see, each interval and when again gets a value. It is closed when ctx has ended.
func (w *statusWatch) looks(ctx context.Context, screen *terminal.Screen, again <-chan struct{}) <-chan string {
	looks := make(chan string)
	go func() {
		defer close(looks)
		defer screen.Guard()
		tick := time.NewTicker(w.interval)
		defer tick.Stop()

		for {
			w.width = screen.Width()

			text := w.look(ctx)
			select {
			case looks <- text:
			case <-ctx.Done():
				return
			}

			select {
			case <-tick.C:
			case <-again:
			case <-ctx.Done():
				return
			}
		}
	}()

	return looks
}

// scroll returns the line at the top after a key.
func scroll(key terminal.Key, top, height, lines int) int {
	switch key {
	case terminal.Up, 'k':
		top--
	case terminal.Down, 'j':
		top++
	case terminal.PageUp, 'b':
		top -= height
	case terminal.PageDown, ' ':
		top += height
	case terminal.Home, 'g':
		top = 0
	case terminal.End, 'G':
		top = lines
	case terminal.Enter, terminal.Leave:
	}

	return top
}

func (w *statusWatch) hint(lines, top, height int) string {
	text := "q leaves"
	if w.table {
		text = "sort: n name, r requests, l p95, m memory, c CPU, p processes; q leaves"
	}

	if lines > height {
		text = fmt.Sprintf("lines %d to %d of %d; arrow keys scroll, q leaves", top+1, min(top+height, lines), lines)
	}

	return terminal.Bold + text + terminal.Reset
}
