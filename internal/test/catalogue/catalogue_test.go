package catalogue_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/catalogue"
)

const (
	root = "../../.."
	page = root + "/docs/faults.md"
)

var update = flag.Bool("update", false, "write the tests' names into docs/faults.md")

// Each code of the page has a test, each code of a test is on the page, and the page names the tests.
func TestPageAndTestsNameEachOther(t *testing.T) {
	tests, err := catalogue.Tests(root)
	require.NoError(t, err)

	if *update {
		require.NoError(t, catalogue.Update(page, tests))
	}

	rows, err := catalogue.Rows(page)
	require.NoError(t, err)

	known := map[string]bool{}
	for _, row := range rows {
		require.False(t, known[row.Code], "%s is there twice", row.Code)
		known[row.Code] = true
		require.Equal(t, catalogue.Column(tests, row.Code), row.Tests, "%s: run this test with -update", row.Code)
		require.NotEmpty(t, row.Tests, "no test shows %s: name it in the comment of the one that does", row.Code)
	}

	for _, test := range tests {
		for _, code := range test.Codes {
			require.True(t, known[code], "%s of %s/%s is not on the page", code, test.Package, test.Name)
		}
	}

	require.Greater(t, len(rows), 150)
}

func TestCommentsThatCannotBeReadAreRefused(t *testing.T) {
	for source, refusal := range map[string]string{
		"// Faults: B2, R-16.\nfunc TestA() {}":                        "",
		"// TestA is long.\n// Faults: B2,\n// R-16.\nfunc TestA() {}": "",
		"// Faults: B2\nfunc TestA() {}":                               "full stop",
		"// Faults: B2.\n// More.\nfunc TestA() {}":                    "full stop",
		"// Faults: B2, B2.\nfunc TestA() {}":                          "twice",
		"// Faults: Z9.\nfunc TestA() {}":                              "no code",
		"func TestB2KilledBeforeTheFirstByte() {}":                     "is a code",
		"func TestR36_Methods() {}":                                    "is a code",
		"func TestHTTP2Only() {}":                                      "",
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a_test.go"), []byte("package a\n\n"+source+"\n"), 0o600))
		tests, err := catalogue.Tests(dir)
		if refusal != "" {
			require.ErrorContains(t, err, refusal, source)
			continue
		}

		require.NoError(t, err, source)

		for _, test := range tests {
			require.Equal(t, catalogue.Test{Package: ".", Name: "TestA", Codes: []string{"B2", "R-16"}}, test)
		}
	}
}
