package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"
)

// noArguments accepts none.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		path := c.CommandPath()
		return exit(1, "'%s' takes no argument like %q.%s See '%s --help' for more information.",
			path, args[0], aboutValues(args), path)
	}

	return nil
}

// oneArgument accepts exactly one argument, of a kind.
func oneArgument(kind string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return exit(1, "Please pass a %s. See '%s --help' for more information.", kind, c.CommandPath())
		}

		return atMostOneArgument(kind)(c, args)
	}
}

// atMostOneArgument accepts none, or one, of a kind.
func atMostOneArgument(kind string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			path := c.CommandPath()
			return exit(1, "There are %d arguments, and '%s' takes one %s.%s See '%s --help' for more information.",
				len(args), path, kind, aboutValues(args), path)
		}

		return nil
	}
}

// named has the program's name before what check says, as have all other errors of commands that are not among
// Passenger's own tools.
func named(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return errors.New(err.Error())
		}

		return nil
	}
}

// aboutValues is a sentence, with a space before it, if one of too many arguments looks like the value of an option.
func aboutValues(args []string) string {
	values := []string{"true", "false", "on", "off", "yes", "no"}
	i := slices.IndexFunc(args, func(arg string) bool { return slices.Contains(values, arg) })
	if i < 0 {
		return ""
	}

	return " The value of an option that is on or off follows an equals sign: --option=" + args[i] + "."
}
