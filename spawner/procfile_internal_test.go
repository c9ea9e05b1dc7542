package spawner

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A line is taken, or named in an error.
func TestNoLineOfAProcfileIsDropped(t *testing.T) {
	for text, want := range map[string]string{
		"web: bin/web\n":                    "web=bin/web",
		"web:bin/web":                       "web=bin/web",
		"web:\tbin/web\t-p 1\n":             "web=bin/web\t-p 1",
		"\ufeffweb: bin/web\r\nq: b \r\n":   "web=bin/web q=b",
		"WEB: bin/web  \t\n":                "WEB=bin/web",
		"web-2_a: x\n\n# comment\nb: y\n":   "web-2_a=x b=y",
		" web: x\n":                         "Procfile:1",
		"web : x\n":                         "Procfile:1",
		"a: b\nweb:\n":                      "a=b Procfile:2",
		"a: b\nweb\n":                       "a=b Procfile:2",
		"a: b\na: c\n":                      "a=b Procfile:2",
		"a: b\x00\n":                        "Procfile:1",
		strings.Repeat("a", 33) + ": x\n":   "Procfile:1",
		"a: \ufeff\n\ufeffb: x\n":           "a=\ufeff Procfile:2",
		"web: echo \\\n  more words here\n": "web=echo \\ Procfile:2",
	} {
		lines, err := parseProcfile(text)

		var got []string
		for _, line := range lines {
			got = append(got, line.Name+"="+line.Command)
		}

		if err != nil {
			place, _, _ := strings.Cut(err.Error(), ": ")
			got = append(got, place)
		}

		require.Equal(t, want, strings.Join(got, " "), "%q", text)
	}
}

func FuzzProcfile(f *testing.F) {
	for _, seed := range []string{"web: a\n", "web: a\r\nworker:b", "# x\n\n a: b\n", "a:\x00\n", "a: b\na: c\n"} {
		f.Add(seed)
	}

	f.Fuzz(func(t *testing.T, text string) {
		lines, err := parseProcfile(text)

		number := 0
		for _, line := range lines {
			if line.Number <= number || line.Name == "" || len(line.Name) > 32 || line.Command == "" ||
				strings.ContainsAny(line.Command, "\n\x00") {
				t.Fatalf("%q: %+v", text, line)
			}

			number = line.Number
		}

		if err != nil && !strings.Contains(err.Error(), "Procfile:") {
			t.Fatal(err)
		}
	})
}
