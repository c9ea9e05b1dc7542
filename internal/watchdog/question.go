package watchdog

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
)

// questions are the open ones to a process. The zero value has
// none.
type questions struct {
	mu   sync.Mutex
	last int
	open map[int]chan json.RawMessage
}

// add returns the next question's id, and where its answer comes to.
func (q *questions) add() (id int, answer chan json.RawMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open == nil {
		q.open = map[int]chan json.RawMessage{}
	}

	q.last++

	// With room for one, since the lock is held where it is filled.
	answer = make(chan json.RawMessage, 1)
	q.open[q.last] = answer

	return q.last, answer
}

// answer takes an answer to its question, if that is open.
func (q *questions) answer(a *questionAnswer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if answer := q.open[a.ID]; answer != nil {
		answer <- a.Body
		delete(q.open, a.ID)
	}
}

func (q *questions) drop(id int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.open, id)
}

// ask returns the process's answer to a question.
func (p *process) ask(ctx context.Context, on string) (json.RawMessage, error) {
	id, answer := p.questions.add()
	defer p.questions.drop(id)
	// If it is dead, exited tells.
	_ = p.link.send(&message{Question: &question{ID: id, On: on}})

	select {
	case body := <-answer:
		return body, nil
	case <-p.exited:
		return nil, ErrNotServing
	case <-ctx.Done():
		return nil, fmt.Errorf("process %d does not respond: %w", p.pid(), ctx.Err())
	}
}

// Question is what a watchdog asks an agent that serves.
type Question struct {
	// On is what the watchdog wants to know, a word that the two have agreed on.
	On   string
	id   int
	link *link
}

// Answer answers the question, as JSON.
func (q *Question) Answer(body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}

	return q.link.send(&message{Answer: &questionAnswer{ID: q.id, Body: b}})
}

// Questions are what the watchdog asks, each of which needs an answer soon; those
// that are not taken are lost. It is closed when the watchdog is gone.
func (p *Parent) Questions() <-chan Question { return p.questions }
