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

// The steps of a spawn. A preloader takes those of a process itself, of which
// the Journey of its SpawnError tells.
const (
	StepPrepare StepName = "prepare"
	StepStart   StepName = "start process"
	// StepServe: wait for a program that serves on its port, or for the
	// handshake.
	StepServe StepName = "wait for handshake or port"
	// StepPreloader: start the preloader, if it does not run.
	StepPreloader StepName = "start preloader"
	StepFork      StepName = "fork process"
	StepHandshake StepName = "handshake"
	StepRequest   StepName = "send request"
	StepLoad      StepName = "load application"
	StepReady     StepName = "read sockets"
	StepCheck     StepName = "check sockets"
	// StepHealth and StepWarmUp are there if the application is to be asked.
	StepHealth StepName = "health check"
	StepWarmUp StepName = "warm-up requests"
)

var (
	handshakeSteps = []StepName{StepHandshake, StepRequest, StepLoad, StepReady, StepCheck}
	directSteps    = append([]StepName{StepPrepare, StepStart}, handshakeSteps...)
	genericSteps   = []StepName{StepPrepare, StepStart, StepServe, StepRequest, StepLoad, StepReady, StepCheck}
	portSteps      = []StepName{StepPrepare, StepStart, StepServe, StepCheck}
	smartSteps     = append([]StepName{StepPrepare, StepPreloader, StepFork}, handshakeSteps...)
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

// journal writes a Journey during a spawn. Only the goroutine that
// spawns uses it.
type journal struct {
	steps Journey
	began time.Time
}

func newJournal() *journal {
	j := &journal{}
	j.plan(directSteps)
	return j
}

// plan says which steps there will be. Those that began are among them.
func (j *journal) plan(names []StepName) {
	planned := make(Journey, len(names))
	for i, n := range names {
		planned[i].Name = n
		for _, s := range j.steps {
			if s.Name == n {
				planned[i] = s
			}
		}
	}

	j.steps = planned
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
