package redact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/internal/test/secrets"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/gopassenger/passenger/status"
)

// places are what prints something of an application's environment, each with all that it
// takes from a variable.
var places = map[string]func(t *testing.T, c secrets.Case) string{
	"variable":     func(_ *testing.T, c secrets.Case) string { return redact.New(nil).Variable(c.Name, c.Value) },
	"text":         textAround,
	"error page":   errorPage,
	"spawn report": spawnReport,
	"hook's log":   hookLog,
	"snapshot":     snapshot,
	"deployment":   deploymentError,
}

func TestNoPlaceShowsASecret(t *testing.T) {
	for name, print := range places {
		t.Run(name, func(t *testing.T) {
			for _, c := range secrets.Cases() {
				require.NotContains(t, print(t, c), c.Secret, "%s=%s", c.Name, c.Value)
			}
		})
	}
}

func TestPlainValuesAreShown(t *testing.T) {
	for name, value := range secrets.Plain() {
		require.False(t, redact.IsSecret(name, value), name)
		require.Equal(t, value, redact.New(nil).Variable(name, value), name)
		require.Equal(t, value, redact.Text(value), name)
	}
}

func textAround(_ *testing.T, c secrets.Case) string {
	if c.ByItself {
		return redact.Text("connecting with " + c.Value)
	}

	return redact.New([]string{c.Name + "=" + c.Value}).Text("connecting with " + c.Value)
}

// failure is a spawn error with the value wherever an application can put it.
func failure(c secrets.Case) *spawner.SpawnError {
	return &spawner.SpawnError{
		Category:   spawner.CategoryExplained,
		ID:         "0badcafe",
		Summary:    "it failed with " + c.Value,
		Advice:     "look at " + c.Value,
		AppName:    "shop",
		AppRoot:    "/srv/shop",
		Command:    []string{"serve", "--with", c.Value},
		Output:     "first\n" + c.Value + "\nlast",
		ExitStatus: "exit status 1",
		Message:    &loaderproto.Message{Text: "Error: " + c.Value},
		Env:        spawner.Env{c.Name + "=" + c.Value, "AGAIN=" + c.Value},
		Journey:    spawner.Journey{{Name: spawner.StepLoad, State: spawner.StepFailed}},
		Err:        errors.New(c.Value),
	}
}

func errorPage(t *testing.T, c secrets.Case) string {
	t.Helper()
	page, err := handler.ErrorReport(failure(c))
	require.NoError(t, err)

	return string(page)
}

func spawnReport(t *testing.T, c secrets.Case) string {
	t.Helper()
	report, err := json.Marshal(failure(c).Report())
	require.NoError(t, err)

	return string(report)
}

// hookLog is what is logged of a script that prints its environment.
func hookLog(t *testing.T, c secrets.Case) string {
	t.Helper()
	printenv, err := exec.LookPath("printenv")
	require.NoError(t, err)

	before, had := os.LookupEnv(c.Name)
	t.Setenv(c.Name, c.Value)
	defer func() {
		if had {
			_ = os.Setenv(c.Name, before) //nolint:usetesting // it is put back before the test ends
		} else {
			_ = os.Unsetenv(c.Name)
		}
	}()

	var log logged.Buffer
	scripts, err := hooks.NewScripts(hooks.Config{
		Commands: map[hooks.Name]string{hooks.AttachedProcess: printenv},
		Options:  map[string]string{strings.ToLower(c.Name): "an option"},
		Timeout:  time.Minute,
		Logger:   log.Logger(),
	})
	require.NoError(t, err)
	require.NoError(t, scripts.Run(t.Context(), hooks.Event{Name: hooks.AttachedProcess}))
	require.Contains(t, log.String(), "stdout")

	return log.String()
}

// snapshot is all that status and the admin API show of an application.
func snapshot(t *testing.T, c secrets.Case) string {
	t.Helper()
	command := []string{"serve"}
	if c.ByItself {
		command = append(command, "--with", c.Value)
	}

	pool, err := passenger.New(passenger.Config{Spawner: spawnertest.New(spawnertest.Script{})})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()

	session, err := pool.Get(t.Context(), &passenger.Options{App: spawner.App{
		GroupName:    "shop",
		Root:         t.TempDir(),
		StartCommand: command,
		Env:          map[string]string{c.Name: c.Value},
	}})
	require.NoError(t, err)
	session.Close(passenger.Discard)

	s := pool.Inspect()
	var shown bytes.Buffer
	require.NoError(t, status.WriteXML(&shown, s, status.XMLOptions{Secrets: true}))
	text, err := json.Marshal(s)
	require.NoError(t, err)

	require.NoError(t, status.WriteJSON(&shown, s))
	require.NoError(t, status.WriteText(&shown, s, status.TextOptions{}))

	return shown.String() + string(text) + fmt.Sprintf("%+v", s.Groups[0].Options)
}

func deploymentError(t *testing.T, c secrets.Case) string {
	t.Helper()
	if !c.ByItself {
		return "" // without the environment, the error has nothing that shows what it is
	}

	text, err := json.Marshal(&passenger.DeploymentError{Err: errors.New("cannot load " + c.Value)})
	require.NoError(t, err)

	return string(text)
}
