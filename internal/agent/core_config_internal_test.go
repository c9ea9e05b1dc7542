package agent

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireValues fails if a type has anything that cannot be handed to another process as JSON.
func requireValues(t *testing.T, path string, of reflect.Type, seen map[reflect.Type]bool) {
	t.Helper()
	if seen[of] {
		return
	}

	seen[of] = true
	switch of.Kind() { //nolint:exhaustive // all others are values
	case reflect.Struct:
		for field := range of.Fields() {
			require.True(t, field.IsExported(), "%s.%s would be lost", path, field.Name)
			requireValues(t, path+"."+field.Name, field.Type, seen)
		}
	case reflect.Slice, reflect.Pointer, reflect.Array:
		requireValues(t, path, of.Elem(), seen)
	case reflect.Map:
		require.Equal(t, reflect.String, of.Key().Kind(), path)
		requireValues(t, path, of.Elem(), seen)
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.UnsafePointer, reflect.Uintptr:
		require.Fail(t, "no value", "%s is a %s", path, of)
	default:
	}
}

func TestConfigurationOfTheCoreHasValuesOnly(t *testing.T) {
	requireValues(t, "coreConfig", reflect.TypeFor[coreConfig](), map[reflect.Type]bool{})
}

func TestConfigurationOfTheCoreArrivesWhole(t *testing.T) {
	cfg := flyingConfig()
	cfg.EnvVars = map[string]string{"A": "b"}
	cfg.Apply(map[string]Setting{"max_requests": {Value: 7, Source: "--max-requests"}})

	text, err := json.Marshal(&coreConfig{Server: *cfg})
	require.NoError(t, err)

	var arrived coreConfig
	require.NoError(t, json.Unmarshal(text, &arrived))

	cfg.Sources = nil // for messages of the start
	require.Equal(t, *cfg, arrived.Server)
}

// The password of web servers is the core's to compare, the headers of the collector are the router's.
func TestConfigurationOfTheCoreHasNoSecretsOfOthers(t *testing.T) {
	const password, header = "the-password-of-web-servers", "Bearer the-token-of-the-collector"

	cfg := flyingConfig()
	cfg.Flying.Password = password
	cfg.OTLPEndpoint = "http://127.0.0.1:4318"
	require.NoError(t, cfg.ReadEnvironment(func(name string) string {
		return map[string]string{otlpHeadersVariable: "Authorization=" + header}[name]
	}))
	require.Equal(t, header, cfg.OTLPHeaders["Authorization"])

	text, err := json.Marshal(&coreConfig{Server: *cfg, Router: cfg.router("")})
	require.NoError(t, err)
	require.NotContains(t, string(text), header)
	require.Equal(t, 1, strings.Count(string(text), password))
}
