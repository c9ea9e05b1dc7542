package instancedir

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/printable"
)

const validProperties = `{"instance_dir": {"major_version": 4, "minor_version": 0, "created_at": 1}, ` +
	`"watchdog_pid": 1, "name": "n"}`

// FuzzProperties: what is accepted can be shown on a terminal, is written as it
// was read, and says nothing that is not for it to say.
func FuzzProperties(f *testing.F) {
	f.Add([]byte(validProperties))
	f.Add([]byte(`{"instance_dir": {"major_version": 4, "path": "/"}, "core_pid": 1, "watchdog_pid": 1, "name": "n"}`))
	f.Add([]byte(`{"instance_dir": null}`))
	f.Add([]byte(`[[[[[[`))
	f.Add([]byte(strings.Replace(validProperties, `"n"`, `"\u001b[2J"`, 1)))
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := parseProperties(content)
		if err != nil {
			require.True(t, utf8.ValidString(err.Error()) || !utf8.Valid(content))
			return
		}

		require.LessOrEqual(t, len(content), maxProperties)
		require.NoError(t, p.validate())
		require.Empty(t, p.InstanceDir.Path)
		require.Zero(t, p.CorePID)

		for _, text := range []string{
			p.Name, p.ServerSoftware, p.PassengerVersion, p.IntegrationMode, p.InstanceID,
			p.StandaloneEngine,
		} {
			require.LessOrEqual(t, len(text), maxText)
			require.False(t, strings.ContainsFunc(text, printable.Not))
		}

		again, err := json.Marshal(p)
		require.NoError(t, err)
		same, err := parseProperties(again)
		require.NoError(t, err)
		require.Equal(t, p, same)
	})
}

func TestParseProperties(t *testing.T) {
	change := func(from, to string) string {
		changed := strings.Replace(validProperties, from, to, 1)
		require.NotEqual(t, validProperties, changed)
		return changed
	}
	for name, test := range map[string]struct{ content, want string }{
		"good":              {validProperties, ""},
		"unknown fields":    {change(`"name"`, `"of_later": [1], "name"`), ""},
		"name of 64":        {change(`"n"`, `"`+strings.Repeat("n", 64)+`"`), ""},
		"name of 65":        {change(`"n"`, `"`+strings.Repeat("n", 65)+`"`), "1 to 64 letters"},
		"no name":           {change(`"n"`, `""`), "1 to 64 letters"},
		"path as a name":    {change(`"n"`, `"../n"`), "1 to 64 letters"},
		"process 0":         {change(`"watchdog_pid": 1`, `"watchdog_pid": 0`), "watchdog_pid 0"},
		"process of text":   {change(`"watchdog_pid": 1`, `"watchdog_pid": "1"`), "watchdog_pid"},
		"no version":        {change(`"major_version": 4`, `"x": 4`), "version 0.0"},
		"negative version":  {change(`"minor_version": 0`, `"minor_version": -1`), "version 4.-1"},
		"software of lines": {change(`"name"`, `"server_software": "a\r\nb", "name"`), "cannot be printed"},
		"right to left":     {change(`"name"`, `"server_software": "a\u202eb", "name"`), "cannot be printed"},
		"empty":             {"", "JSON"},
		"two":               {validProperties + validProperties, "after top-level value"},
		"too long":          {validProperties + strings.Repeat(" ", maxProperties), "more than 32768 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseProperties([]byte(test.content))
			if test.want == "" {
				require.NoError(t, err)
				return
			}

			require.ErrorContains(t, err, test.want)
		})
	}
}
