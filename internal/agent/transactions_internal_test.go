package agent

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEnvironmentNamesTheServiceAndTheCollectorsHeaders(t *testing.T) {
	environment := map[string]string{
		"OTEL_EXPORTER_OTLP_HEADERS":        "authorization=Basic%20dXNlcg%3D%3D, api-key = general ,",
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=of traces",
		"OTEL_SERVICE_NAME":                 "shop",
		"OTEL_RESOURCE_ATTRIBUTES":          "deployment.environment.name=staging,team=a%2Cb",
	}
	getenv := func(name string) string { return environment[name] }

	c := Transactions{OTLPEndpoint: "http://127.0.0.1:4318"}
	require.NoError(t, c.ReadEnvironment(getenv))
	require.Equal(t, map[string]string{"authorization": "Basic dXNlcg==", "api-key": "of traces"}, c.OTLPHeaders)
	require.Equal(t, "shop", c.ServiceName)
	require.Equal(t, map[string]string{"deployment.environment.name": "staging", "team": "a,b"}, c.ResourceAttributes)
	require.NoError(t, c.validate())

	var off Transactions
	require.NoError(t, off.ReadEnvironment(getenv))
	require.Equal(t, Transactions{}, off)
}

func TestAVariableOfOpenTelemetryThatIsNotWellFormedIsNamedWithoutItsValue(t *testing.T) {
	for _, name := range []string{otlpHeadersVariable, otlpTracesHeadersVariable, resourceVariable} {
		for _, value := range []string{"secret", "=secret", "a=100%secret"} {
			c := Transactions{OTLPEndpoint: "http://127.0.0.1:4318"}
			err := c.ReadEnvironment(func(asked string) string {
				if asked == name {
					return value
				}

				return ""
			})
			require.ErrorContains(t, err, "the environment variable "+name+" is not made of NAME=VALUE")
			require.NotContains(t, err.Error(), "secret")
		}
	}
}
