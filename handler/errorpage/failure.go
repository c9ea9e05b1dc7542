package errorpage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/spawner"
)

// failure is a SpawnError as it is shown: without secrets, and with nothing in its texts that a page, or a terminal,
// could take for more than text.
type failure struct {
	ID            string            `json:"-"`
	Summary       string            `json:"summary"`
	Lead          string            `json:"-"`
	Advice        string            `json:"advice,omitempty"`
	Category      string            `json:"category,omitempty"`
	Message       *failureMessage   `json:"message,omitempty"`
	Journey       []failureStep     `json:"journey"`
	Output        string            `json:"output"`
	OutputDropped int64             `json:"outputDropped,omitempty"`
	Preloader     bool              `json:"preloader"`
	ExitStatus    string            `json:"exitStatus,omitempty"`
	End           string            `json:"-"`
	AppName       string            `json:"application"`
	AppRoot       string            `json:"directory"`
	Environment   string            `json:"environment"`
	Command       []string          `json:"command,omitempty"`
	CommandLine   string            `json:"-"`
	User          string            `json:"user,omitempty"`
	Env           []failureVariable `json:"-"`
	Limits        string            `json:"-"`
}

// failureMessage is what the application reported itself.
type failureMessage struct {
	Text string `json:"text"`
	HTML bool   `json:"html"`
}

type failureStep struct {
	Name    string  `json:"step"`
	State   string  `json:"state"`
	Seconds float64 `json:"seconds"`
	// Took is Seconds for people; empty if the step did not run.
	Took  string `json:"-"`
	Class string `json:"-"`
}

type failureVariable struct{ Name, Value string }

func newFailure(e *spawner.SpawnError) *failure {
	r := redact.New(e.Env)

	f := &failure{
		ID:            e.ID,
		Summary:       r.Text(e.Summary),
		Advice:        r.Text(e.Advice),
		Output:        r.Text(e.Output),
		OutputDropped: e.OutputDropped,
		Preloader:     e.Preloader,
		ExitStatus:    r.Text(e.ExitStatus),
		End:           r.Text(ending(e)),
		AppName:       r.Text(e.AppName),
		AppRoot:       r.Text(e.AppRoot),
		Environment:   r.Text(e.Environment),
		User:          r.Text(e.User),
		Limits:        r.Text(e.Limits),
		Journey:       make([]failureStep, 0, len(e.Journey)),
	}
	for _, argument := range e.Command {
		f.Command = append(f.Command, r.Text(argument))
	}

	// The arguments have no secrets any more, which quotes could keep from being found.
	f.CommandLine = commandLine(f.Command)
	f.Lead = lead(f)
	if e.Category != 0 {
		f.Category = e.Category.String()
	}

	if e.Message != nil {
		f.Message = &failureMessage{Text: r.Text(e.Message.Text), HTML: e.Message.HTML}
	}

	for _, s := range e.Journey {
		step := newFailureStep(s)
		step.Name = r.Text(step.Name)
		f.Journey = append(f.Journey, step)
	}

	for _, variable := range e.Env {
		name, value, _ := strings.Cut(variable, "=")
		f.Env = append(f.Env, failureVariable{r.Text(name), r.Variable(name, value)})
	}

	slices.SortStableFunc(f.Env, func(a, b failureVariable) int { return cmp.Compare(a.Name, b.Name) })

	return f
}

func newFailureStep(s spawner.JourneyStep) failureStep {
	step := failureStep{
		Name:    string(s.Name),
		State:   s.State.String(),
		Seconds: s.Duration.Seconds(),
		Class:   strings.ReplaceAll(s.State.String(), " ", "-"),
	}
	if s.State == spawner.StepPerformed || s.State == spawner.StepFailed {
		step.Took = readable(s.Duration)
	}

	return step
}

func readable(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "< 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}

	return fmt.Sprintf("%.1f s", d.Seconds())
}

// lead returns the summary as a heading, with a capital unless it begins with the name of something.
func lead(f *failure) string {
	first, _, _ := strings.Cut(f.Summary, " ")
	named := len(f.Command) > 0 && first == f.Command[0] || first == f.AppName
	if first == "" || named || strings.ContainsFunc(first, func(c rune) bool { return !unicode.IsLower(c) }) {
		return f.Summary
	}

	c, size := utf8.DecodeRuneInString(f.Summary)

	return string(unicode.ToUpper(c)) + f.Summary[size:]
}

// ending says how the process ended, or why it has no status; empty if that is not known.
func ending(e *spawner.SpawnError) string {
	if e.ExitStatus != "" {
		return "it ended by itself: " + e.ExitStatus
	}

	for _, s := range e.Journey {
		// Only these steps begin a process.
		if s.Name != spawner.StepStart && s.Name != spawner.StepFork {
			continue
		}

		if s.State == spawner.StepPerformed {
			return "it did not end by itself, and was stopped"
		}

		return "it was not started"
	}

	return ""
}

// commandLine quotes arguments that a reader could take for several.
func commandLine(command []string) string {
	words := make([]string, len(command))
	for i, argument := range command {
		words[i] = argument
		if argument == "" || strings.ContainsAny(argument, " \t\n\"'\\$`;&|<>()*?[]{}#~!") {
			words[i] = "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
		}
	}

	return strings.Join(words, " ")
}
