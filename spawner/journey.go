package spawner

import (
	"fmt"
	"time"
)

// Journey is how far a spawn came: its steps in their order.
type Journey []JourneyStep

// JourneyStep is a step of a spawn.
type JourneyStep struct {
	Name  StepName
	State StepState
	// Duration is how long the step took; 0 unless it was performed or
	// failed.
	Duration time.Duration
}

// StepName names a step.
type StepName string

// The steps of a direct spawn.
const (
	StepPrepare   StepName = "prepare"
	StepStart     StepName = "start process"
	StepHandshake StepName = "handshake"
	StepRequest   StepName = "send request"
	StepLoad      StepName = "load application"
	StepReady     StepName = "read sockets"
	StepCheck     StepName = "check sockets"
)

// StepState is how a step went.
type StepState uint8

// The states.
const (
	StepNotStarted StepState = iota
	StepInProgress
	StepPerformed
	StepFailed
)

func (s StepState) String() string {
	switch s {
	case StepNotStarted:
		return "not started"
	case StepInProgress:
		return "in progress"
	case StepPerformed:
		return "performed"
	case StepFailed:
		return "failed"
	}
	return fmt.Sprintf("StepState(%d)", uint8(s))
}

// journal writes a Journey while a spawn goes on. Only the goroutine that
// spawns uses it.
type journal struct {
	steps Journey
	began time.Time
}

func newJournal(names ...StepName) *journal {
	j := &journal{steps: make(Journey, len(names))}
	for i, n := range names {
		j.steps[i].Name = n
	}
	return j
}

// enter begins a step and so ends the one before.
func (j *journal) enter(name StepName) {
	j.end(StepPerformed)
	for i := range j.steps {
		if j.steps[i].Name == name {
			j.steps[i].State, j.began = StepInProgress, time.Now()
		}
	}
}

func (j *journal) end(state StepState) {
	for i := range j.steps {
		if s := &j.steps[i]; s.State == StepInProgress {
			s.State, s.Duration = state, s.Duration+time.Since(j.began)
		}
	}
}

// failed returns the step that failed; empty if none did.
func (j Journey) failed() StepName {
	for _, s := range j {
		if s.State == StepFailed {
			return s.Name
		}
	}
	return ""
}
