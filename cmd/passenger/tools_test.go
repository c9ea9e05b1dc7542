package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestCommandsAreListedByTheirNames(t *testing.T) {
	for _, c := range (tools{}).all() {
		require.Equal(t, c.name, c.create().Name())
	}
}

func TestOnlyTheNamedCommandIsMade(t *testing.T) {
	names := func(root *cobra.Command) (names []string) {
		for _, c := range root.Commands() {
			names = append(names, c.Name())
		}

		return names
	}
	made := func(args ...string) []string { return names(newProgram("passenger", args, nil)) }
	all := names(newCommand())
	require.Greater(t, len(all), 10)

	require.Equal(t, []string{"core"}, made("core"))
	require.Equal(t, []string{"start"}, made("start", "config"))
	require.Empty(t, made("--version"))

	// Each of these may need any command: to list, to complete or to suggest it.
	for _, args := range [][]string{
		{},
		{""},
		{"help", "start"},
		{"--help"},
		{"-h"},
		{"--version", "start"},
		{"--flag", "start"},
		{"star"},
		{"completion", "bash"},
		{cobra.ShellCompRequestCmd, "start", ""},
	} {
		require.Equal(t, all, made(args...), "%q", args)
	}
}

// A script that keeps what a command prints has to learn that the disk is full.
func TestOutputThatIsLostIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full: ", err)
	}
	defer full.Close()

	for _, test := range []struct {
		out  io.Writer
		want error
	}{
		{full, syscall.ENOSPC},
		{io.Discard, nil},
	} {
		cmd := &cobra.Command{RunE: tools{}.run(func(_ context.Context, cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(cmd.OutOrStdout(), "first")
			fmt.Fprintln(cmd.OutOrStdout(), "second")

			return nil
		})}
		cmd.SetArgs(nil)
		cmd.SetOut(test.out)
		require.ErrorIs(t, cmd.ExecuteContext(t.Context()), test.want)
	}
}
