package spawner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseEnvFile(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                                 {},
		"\n\n# A=1\n; B=2\n   # C\n":       {},
		"A=1\nB=\nA=2":                     {"A": "2", "B": ""},
		"A = 1\n\tB=2 \t\r\n":              {"A": "1", "B": "2"},
		"\ufeffA=1\r\nB=\ufeff2\r\n":       {"A": "1", "B": "\ufeff2"},
		"A=$HOME ${X} `x` $(y)":            {"A": "$HOME ${X} `x` $(y)"},
		`A="b  c" 'd'e`:                    {"A": "b  c de"},
		`A="q\"\\\$\` + "`" + `\n" `:       {"A": `q"\$` + "`" + `\n`},
		`A='\n$"' `:                        {"A": `\n$"`},
		"A=\"two\nlines\"\nB=1":            {"A": "two\nlines", "B": "1"},
		"A=one \\\ntwo":                    {"A": "one two"},
		"A=a\\ \\b\\":                      {"A": "a b"},
		"A=\" kept \" ":                    {"A": " kept "},
		"export A=1\nexport  B=2":          {"A": "1", "B": "2"},
		"A=b=c":                            {"A": "b=c"},
		"A=\xff":                           {"A": "\xff"},
		strings.Repeat("A=1\n", 3) + "A=2": {"A": "2"},
	} {
		vars := map[string]string{}
		require.NoError(t, parseEnvFile(text, vars), "%q", text)
		require.Equal(t, want, vars, "%q", text)
	}

	for text, reason := range map[string]string{
		"secret":           "line 1 is not",
		"A=1\n1A=secret":   "line 2 is not",
		"A B=secret":       "line 1 is not",
		"=secret":          "line 1 is not",
		"\n\nA=\"secret\n": "line 3 opens",
		"A='":              "line 1 opens",
		"A=\x00":           "line 1 holds NUL",
		"\x00\x00":         "line 1 is not",
		"A=1\n\x00\nB=2":   "line 2 is not",
	} {
		err := parseEnvFile(text, map[string]string{})
		require.ErrorContains(t, err, reason, "%q", text)
		require.NotContains(t, err.Error(), "secret", "a value is no part of an error")
	}
}

// Where dotenv of Node.js, that of Python, Docker Compose and shells agree, we do as they do; systemd and docker run
// know no such comments. Where these differ, a value keeps what it has: passwords and colors have the sign.
func TestCommentsBehindValuesInEnvFiles(t *testing.T) {
	for text, want := range map[string]string{
		`"a b"  # comment`:       "a b",
		`'a b'  # comment`:       "a b",
		`"a b"# comment`:         "a b",
		`"a b" # it's "odd`:      "a b",
		`a b # comment`:          "a b",
		"a\t# comment\r":         "a",
		`a # one # two`:          "a",
		` # comment`:             "",
		"'two\nlines' # comment": "two\nlines",
		`"a" 'b' # comment`:      "a b",

		`a#b`:               "a#b",
		`#ff8800`:           "#ff8800",
		`http://x/#top`:     "http://x/#top",
		`"a # b"`:           "a # b",
		`'#' # comment`:     "#",
		`a \# b`:            "a # b",
		`a\ # b`:            "a # b",
		`"a"\#b`:            "a#b",
		"one \\\n# comment": "one",
		"one\\\n#two":       "one#two",
		`a ; b // c`:        "a ; b // c",
	} {
		vars := map[string]string{}
		require.NoError(t, parseEnvFile("A="+text+"\nB=next\n", vars), "%q", text)
		require.Equal(t, map[string]string{"A": want, "B": "next"}, vars, "%q", text)
	}
}

func FuzzParseEnvFile(f *testing.F) {
	f.Add("A=1\nB='2'\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		vars := map[string]string{}
		if parseEnvFile(text, vars) != nil {
			return
		}

		for name, value := range vars {
			require.True(t, isShellName(name))
			require.NotContains(t, value, "\x00")
			require.LessOrEqual(t, len(value), len(text))
		}
	})
}

func TestReadEnvFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("a", "A=1\nB=1\n")
	write("b", "B=2\n")
	vars, err := readEnvFiles(&App{Root: dir, EnvFiles: []string{"a", "-none", filepath.Join(dir, "b")}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "1", "B": "2"}, vars)

	write("large", strings.Repeat("#", maxEnvFile+1))

	for file, reason := range map[string]string{
		"none": "no such file", ".": "not a regular file",
		"large": "more than 1048576 bytes",
	} {
		_, err := readEnvFiles(&App{Root: dir, EnvFiles: []string{file}})
		require.ErrorContains(t, err, reason)
		var f *fault
		require.ErrorAs(t, err, &f)
		require.Equal(t, envFileUnusable, f.problem)
	}
}
