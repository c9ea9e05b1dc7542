package passengercaddy

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// README.md says so of all texts.
func TestPlaceholdersAreReplacedInAllTexts(t *testing.T) {
	t.Setenv("PLACED", "placed")

	var c Config
	var a App

	for _, text := range append(textsOf(&c), textsOf(&a)...) {
		switch to := text.Interface().(type) {
		case *string:
			*to = "{env.PLACED}"
		case *[]string:
			*to = []string{"{env.PLACED}"}
		case *map[string]string:
			*to = map[string]string{"NAME": "{env.PLACED}"}
		}
	}

	require.NoError(t, c.replacePlaceholders())
	require.NoError(t, a.replacePlaceholders())
	require.Equal(t, map[string]string{"NAME": "{env.PLACED}"}, c.RequestEnv, "those of a request come with it")

	c.RequestEnv = c.Env
	for _, text := range append(textsOf(&c), textsOf(&a)...) {
		switch got := text.Interface().(type) {
		case *string:
			require.Equal(t, "placed", *got)
		case *[]string:
			require.Equal(t, []string{"placed"}, *got)
		case *map[string]string:
			require.Equal(t, map[string]string{"NAME": "placed"}, *got)
		}
	}
}

// textsOf returns pointers to the options that are texts, lists of them, or texts by their name.
func textsOf(options any) (texts []reflect.Value) {
	fields := reflect.ValueOf(options).Elem()
	for i := range fields.NumField() {
		kind := fields.Type().Field(i).Type.String()
		if fields.Type().Field(i).IsExported() &&
			(kind == "string" || kind == "[]string" || kind == "map[string]string") {
			texts = append(texts, fields.Field(i).Addr())
		}
	}

	return texts
}
