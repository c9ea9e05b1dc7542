package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

func TestHelpIsShortPhrases(t *testing.T) {
	visible(newCommand(), func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			_, help := pflag.UnquoteUsage(f)
			if !f.Hidden {
				require.LessOrEqual(t, len(help), 70, "%s --%s: %s", c.CommandPath(), f.Name, help)
				require.False(t, strings.HasSuffix(help, "."), "%s --%s: %s", c.CommandPath(), f.Name, help)
			}
		})
	})
}

func TestHelpBeginsWithTheTenEverydayOptions(t *testing.T) {
	cmd := newStartCommand(nil)

	groups := groupFlags(cmd.Flags())
	require.Equal(t, options.EverydayGroup, groups[0].title)
	require.Len(t, agent.Groups(), len(groups)-1)

	var names []string
	groups[0].flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	require.ElementsMatch(t, []string{
		"address", "port", "environment", "app-type", "start-command", "max-pool-size", "min-instances", "user",
		"daemonize", "log-file",
	}, names)
}

func TestNamesOfOptionsAreUniqueInEachScope(t *testing.T) {
	for _, scope := range []options.Scope{options.Start, options.Flying, options.Request} {
		seen := map[string]bool{}
		claim := func(names ...string) {
			for _, name := range names {
				require.False(t, seen[name], "%s is the name of two options", name)
				seen[name] = true
			}
		}

		for _, o := range agent.OptionsIn(scope) {
			require.NotEmpty(t, o.Help, o.Key)
			require.NotEmpty(t, o.Group, o.Key)

			if scope == options.Request {
				claim(o.ParamNames()...)
			} else {
				claim(o.Keys()...)
				claim("--" + o.FlagName())
			}
		}
	}
}

func TestFlagsThatCannotBeUsedSayWhatCan(t *testing.T) {
	t.Parallel()

	for args, want := range map[string]string{
		"status --json=perhaps":           `--json is "perhaps": it must be true or false: 'passenger status --help'`,
		"status --interval x":             `--interval is "x": it must be a time with its unit, such as 500ms or 2s: `,
		"dashboard --port x":              `--port is "x": it must be a whole number: `,
		"restart-app --rolling-restart=x": `--rolling-restart is "x": it must be true or false: `,
		"start --turbocaching=perhaps":    `--turbocaching: turbocaching must be true or false, not "perhaps"`,
		"start --max-pol-size 3":          "unknown flag: --max-pol-size (did you mean --max-pool-size?): 'passenger start --help'",
		"start --max_pool_size 3":         "unknown flag: --max_pool_size (did you mean --max-pool-size?): ",
		"restart-app --rolling":           "unknown flag: --rolling: 'passenger restart-app --help'",
		"start --workers 3":               "unknown flag: --workers (did you mean --max-pool-size or --min-instances?): ",
		"start --socket-file x":           "unknown flag: --socket-file (did you mean --socket?): ",
		"start --trusted-proxies":         "unknown flag: --trusted-proxies (did you mean --trusted-proxy?): ",
		"flying --timeout 3":              "unknown flag: --timeout (did you mean --max-request-time?): ",
		"start --dashboard on x": "There are 2 arguments, and 'passenger start' takes one directory. The value of an " +
			"option that is on or off follows an equals sign: --option=on. See 'passenger start --help'",
		"flying --turbocaching off": "'passenger flying' takes no argument like \"off\". The value of an option",
		"detect a b":                "There are 2 arguments, and 'passenger detect' takes one directory. See",
		"stop a b":                  "There are 2 arguments, and 'passenger stop' takes one instance. See",
		"backtraces":                "Please pass a PID. See",
		"backtraces 1 2":            "There are 2 arguments, and 'passenger backtraces' takes one PID. See",
		"start --memory-limit 1G":   `--memory-limit: memory_limit must be a whole number of MB, not "1G"`,
		"start --start-timeout 30s": `--start-timeout: start_timeout must be a whole number of seconds, not "30s"`,
		"start --env production":    "unknown flag: --env (did you mean --environment or --envvar?): ",
		"start --unix-socket x":     "unknown flag: --unix-socket (did you mean --socket?): ",
		"start --bind 127.0.0.1:80": "unknown flag: --bind (did you mean --address, --port or --socket?): ",
		"reload --instanc x":        "unknown flag: --instanc (did you mean --instance?): ",
	} {
		root := newRoot(tools{}.all())
		root.SetArgs(strings.Fields(args))
		require.ErrorContains(t, root.Execute(), want)
	}
}

func TestUnknownCommandsSayWhatToDo(t *testing.T) {
	for args, want := range map[string]string{
		"ps":         `there is no command "ps" (did you mean status?): 'passenger --help' lists the commands`,
		"restart":    `there is no command "restart" (did you mean restart-app or reload?): 'passenger --help' lists the commands`,
		"incident":   `there is no command "incident" (did you mean incidents?): 'passenger --help' lists the commands`,
		"frobnicate": `there is no command "frobnicate": 'passenger --help' lists the commands`,
		`a"b`:        `there is no command "a\"b": 'passenger --help' lists the commands`,
	} {
		root := newProgram("passenger", []string{args}, nil)
		root.SetArgs([]string{args})
		require.EqualError(t, execute(t.Context(), root), want)
	}

	root := newRoot(tools{}.all())
	for name, meant := range commandsElsewhere {
		for _, one := range meant {
			found, _, err := root.Find([]string{one})
			require.NoError(t, err)
			require.Equal(t, one, found.Name(), "%s does not exist, which is meant by %s", one, name)
		}

		found, _, err := root.Find([]string{name})
		require.True(t, err != nil || found == root, "%s is a command", name)
	}
}

func TestWhatAnInstanceServes(t *testing.T) {
	for want, p := range map[string]instancedir.Properties{
		"/srv/shop on http://127.0.0.1:80": {AppRoots: []string{"/srv/shop"}, Addresses: []string{"http://127.0.0.1:80"}},
		"/srv/shop":                        {AppRoots: []string{"/srv/shop"}},
		"applications on unix:/run/p":      {Addresses: []string{"unix:/run/p"}},
		"":                                 {},
	} {
		require.Equal(t, want, servedBy(&p))
	}
}

// A Dockerfile for the original installs its parts.
func TestCommandsThatInstallPartsSucceed(t *testing.T) {
	for _, name := range needlessCommands {
		for _, before := range [][]string{{}, {"config"}} {
			program := "passenger-config"
			if len(before) > 0 {
				program = "passenger"
			}

			args := append(before, name, "--auto", "--force")
			root := newProgram(program, args, nil)
			var out strings.Builder
			root.SetOut(&out)
			root.SetArgs(args)
			require.NoError(t, execute(t.Context(), root))
			require.Contains(t, out.String(), "Nothing to do for "+name+": ")
		}
	}
}
