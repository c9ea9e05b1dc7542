package spawner

import (
	"strings"
	"testing"
)

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
