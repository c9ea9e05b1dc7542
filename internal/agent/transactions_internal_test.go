package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/ustrouter"
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

// The router has the server's log open as well as its own file.
func TestRouterOpensEachOfItsFilesAgain(t *testing.T) {
	dir := t.TempDir()
	log, transactions := filepath.Join(dir, "log"), filepath.Join(dir, "transactions")

	logFile, err := openLog(log, plainFormat)
	require.NoError(t, err)

	r := &router{logFile: logFile, log: newLogger(logFile, newLogLevel(5), plainFormat)}
	r.sinks, err = ustrouter.Open(ustrouter.Config{File: transactions, Socket: "/s"}, r.log)
	require.NoError(t, err)

	for _, file := range []string{log, transactions} {
		require.NoError(t, os.Rename(file, file+".1"))
	}

	require.NoError(t, r.reopen())
	r.log.Info("after the rotation")
	require.NoError(t, r.sinks.Close(t.Context()))
	require.NoError(t, r.logFile.close())

	require.FileExists(t, transactions)

	content, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(content), "after the rotation")
}
