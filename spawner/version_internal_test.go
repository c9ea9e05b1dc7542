package spawner

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRangesHaveTheVersionsThatNpmAndRubyGemsSay(t *testing.T) {
	for text, c := range map[string]struct{ in, out []string }{
		"20.11.1":               {[]string{"20.11.1", "20.11", "20"}, []string{"20.11.2", "20.12", "21"}},
		"20":                    {[]string{"20.0.0", "20.99.9"}, []string{"19.9.9", "21.0.0"}},
		"v20.1":                 {[]string{"20.1.0", "20.1.9"}, []string{"20.2.0", "20.0.9"}},
		"18.x":                  {[]string{"18.0.0", "18.20.1"}, []string{"19.0.0"}},
		"18.*":                  {[]string{"18.20.1"}, []string{"17.9.9"}},
		"18.X.X":                {[]string{"18.20.1"}, []string{"19.0.0"}},
		"*":                     {[]string{"0.1.0", "99.0.0"}, nil},
		"x":                     {[]string{"1.0.0"}, nil},
		"":                      {[]string{"1.0.0"}, nil},
		">=18":                  {[]string{"18.0.0", "22.1.0"}, []string{"17.9.9"}},
		">= 18.0.0":             {[]string{"18.0.0"}, []string{"17.9.9"}},
		">18":                   {[]string{"19.0.0"}, []string{"18.9.9"}},
		">18.1.1":               {[]string{"18.1.2"}, []string{"18.1.1"}},
		"<20":                   {[]string{"19.9.9"}, []string{"20.0.0"}},
		"<=20":                  {[]string{"20.9.9"}, []string{"21.0.0"}},
		"<=20.1.1":              {[]string{"20.1.1"}, []string{"20.1.2"}},
		">=18 <21":              {[]string{"18.0.0", "20.9.9"}, []string{"17.0.0", "21.0.0"}},
		">=18.0.0, < 21":        {[]string{"20.9.9"}, []string{"21.0.0"}},
		"^20.1.2":               {[]string{"20.1.2", "20.9.0"}, []string{"20.1.1", "21.0.0"}},
		"^0.2.3":                {[]string{"0.2.9"}, []string{"0.3.0"}},
		"^0.0.3":                {[]string{"0.0.3"}, []string{"0.0.4"}},
		"^20":                   {[]string{"20.9.0"}, []string{"21.0.0"}},
		"~20.1.2":               {[]string{"20.1.9"}, []string{"20.2.0"}},
		"~20":                   {[]string{"20.9.9"}, []string{"21.0.0"}},
		"~> 3.2":                {[]string{"3.2.0", "3.9.0"}, []string{"3.1.9", "4.0.0"}},
		"~> 3.2.1":              {[]string{"3.2.9"}, []string{"3.2.0", "3.3.0"}},
		"18 - 20":               {[]string{"18.0.0", "20.9.9"}, []string{"21.0.0"}},
		"^18.2 || >=20.1 <20.5": {[]string{"18.9.0", "20.4.9"}, []string{"18.1.0", "19.0.0", "20.5.0"}},
		"16||18":                {[]string{"16.1.0", "18.1.0"}, []string{"17.0.0"}},
	} {
		r, ok := parseRange(text)
		require.True(t, ok, text)

		for _, version := range c.in {
			v, ok := parseVersion(version)
			require.True(t, ok)
			require.True(t, r.mayHave(v), "%q should have %s", text, version)
		}

		for _, version := range c.out {
			v, ok := parseVersion(version)
			require.True(t, ok)
			require.False(t, r.mayHave(v), "%q should not have %s", text, version)
		}
	}

	for _, text := range []string{
		"latest", "1.2.3.4", "1..2", ">=", "18 || ../x", "3.13.0rc1", "1234567890", "a - b", "1 - ../2", ">=>1",
		strings.Repeat("1 ", 200), "\x00",
	} {
		_, ok := parseRange(text)
		require.False(t, ok, text)
	}
}

func TestDirectoriesOfVersionManagersHaveVersions(t *testing.T) {
	for name, want := range map[string]struct {
		version string
		release bool
	}{
		"3.2.2":                            {"3.2.2", true},
		"v20.11.1":                         {"20.11.1", true},
		"ruby-3.3.0":                       {"3.3.0", true},
		"2.6.10-p210":                      {"2.6.10", true},
		"cpython-3.12.1-linux-x86_64-gnu":  {"3.12.1", true},
		"3.13.0rc1":                        {"3.13.0", false},
		"3.13.0a6":                         {"3.13.0", false},
		"3.14-dev":                         {"3.14", false},
		"3.13.0t":                          {"3.13.0", false},
		"3.4.0-preview1":                   {"3.4.0", false},
		"v23.0.0-nightly20240601abc":       {"23.0.0", false},
		"20":                               {"20", false},
		"jruby-9.4.5.0":                    {"", false},
		"latest":                           {"", false},
		"99999999999999999999.1.1":         {"", false},
		"cpython-3.13-linux-x86_64-gnu":    {"3.13", false},
		strings.Repeat("1.", 1000) + "rc1": {"1.1.1", true},
	} {
		v, release := directoryVersion(name)
		require.Equal(t, want.version, v.String(), name)
		require.Equal(t, want.release, release, name)
	}
}

func FuzzRange(f *testing.F) {
	for _, text := range []string{">=18 <21", "^0.0.3 || 18.x", "~> 3.2", "1 - 2", "*", "v20"} {
		f.Add(text, "18.1.2")
	}

	f.Fuzz(func(t *testing.T, text, version string) {
		r, ok := parseRange(text)
		v, known := parseVersion(version)
		if ok && known {
			r.mayHave(v)
		}
	})
}
