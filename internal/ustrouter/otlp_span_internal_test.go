package ustrouter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What OTLP's JSON encoding allows, as far as it matters here: a regexp is a
// string, an empty map any attributes, a slice its one element any number of
// times, a number an enumeration up to it. Fields whose names end with a
// question mark may be absent.
var schema = map[string]any{
	"resourceSpans": []any{map[string]any{
		"resource": map[string]any{"attributes": attributesSchema},
		"scopeSpans": []any{map[string]any{
			"scope": map[string]any{"name": `.+`, "version": `[0-9.]+`},
			"spans": []any{map[string]any{
				"traceId":           `[0-9a-f]{32}`,
				"spanId":            `[0-9a-f]{16}`,
				"parentSpanId?":     `[0-9a-f]{16}`,
				"flags?":            0x3ff,
				"links?":            []any{map[string]any{"traceId": `[0-9a-f]{32}`, "spanId": `[0-9a-f]{16}`}},
				"name":              `.+`,
				"kind":              5,
				"startTimeUnixNano": `[0-9]+`,
				"endTimeUnixNano":   `[0-9]+`,
				"attributes?":       attributesSchema,
				"events?":           []any{map[string]any{"timeUnixNano": `[0-9]+`, "name": `.+`}},
				"status?":           map[string]any{"code": 2, "message?": `.*`},
			}},
		}},
	}},
}

var attributesSchema = []any{map[string]any{
	"key":   `[a-z_.]+`,
	"value": map[string]any{"stringValue?": `(?s).*`, "intValue?": `-?[0-9]+`, "doubleValue?": 1.5, "boolValue?": true},
}}

func conform(schema, v any) error {
	switch s := schema.(type) {
	case string:
		text, ok := v.(string)
		if !ok || !regexp.MustCompile("^"+s+"$").MatchString(text) {
			return fmt.Errorf("%v is not as %s", v, s)
		}
	case int:
		n, ok := v.(float64)
		if !ok || n != float64(int(n)) || n < 0 || n > float64(s) {
			return fmt.Errorf("%v is not one of the enumeration", v)
		}
	case float64, bool:
		if fmt.Sprintf("%T", s) != fmt.Sprintf("%T", v) {
			return fmt.Errorf("%v is not of the type %T", v, s)
		}
	case []any:
		all, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%v is no array", v)
		}

		for _, one := range all {
			if err := conform(s[0], one); err != nil {
				return err
			}
		}
	case map[string]any:
		return conformObject(s, v)
	}

	return nil
}

func conformObject(schema map[string]any, v any) error {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%v is no object", v)
	}

	known := map[string]bool{}
	for key, of := range schema {
		name, optional := key, false
		if key[len(key)-1] == '?' {
			name, optional = key[:len(key)-1], true
		}

		known[name] = true
		field, there := object[name]
		if !there && !optional {
			return fmt.Errorf("%s is missing in %v", name, v)
		}

		if there {
			if err := conform(of, field); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}

	for name := range object {
		if !known[name] {
			return fmt.Errorf("%s is not known", name)
		}
	}

	if len(schema) == 4 && known["stringValue"] && len(object) != 1 {
		return errors.New("a value has not one type")
	}

	return nil
}

func countingSpanner(resourceAttributes attributes) spanner {
	n := byte(0)

	return spanner{resource: resource{Attributes: resourceAttributes}, random: func(id []byte) {
		n++
		for i := range id {
			id[i] = n
		}
	}}
}

// TestGolden has one transaction of each kind.
func TestGolden(t *testing.T) {
	request, failed := full(), full()
	request.Traceparent, request.ParentSpan, request.Link = "", "", ""
	request.Status, request.Error = 200, ""
	request.Category, request.Root, request.Dropped, request.Processed, request.Generation = "", "", 0, 0, 0
	request.Exited, request.Blocking = false, false
	failed.Category, failed.Root, failed.Dropped, failed.Processed, failed.Generation = "", "", 0, 0, 0
	failed.Cached, failed.Exited, failed.Blocking = false, false, false
	at := func(kind Kind) Transaction {
		return Transaction{
			Kind:       kind,
			Time:       someTime,
			App:        "shop",
			Root:       "/srv/shop",
			PID:        7,
			Generation: 3,
		}
	}
	spawn, noSpawn, attach, detach, restart := at(KindSpawn), at(KindSpawn), at(KindAttach), at(KindDetach),
		at(KindRestart)
	spawn.Total, noSpawn.Total, restart.Total = time.Second, time.Second, time.Minute
	noSpawn.ID, noSpawn.Category, noSpawn.Error = "0badcafe", "time-out", "it took too long"
	detach.Processed, detach.Exited = 9, true
	restart.Blocking, restart.Error = true, "called off"
	lost := Transaction{Kind: KindDropped, Time: someTime, Dropped: 12}

	var a attributes
	a.text("service.name", "passenger")
	s := countingSpanner(a)
	body := s.request([]*Transaction{&request, &failed, &spawn, &noSpawn, &attach, &detach, &restart, &lost})
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetIndent("", "  ")
	require.NoError(t, e.Encode(body))
	golden := filepath.Join("testdata", "otlp.json")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, bytes.ReplaceAll(got.Bytes(), []byte(version()), []byte("VERSION")),
			0o600))
	}

	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.JSONEq(t, string(bytes.ReplaceAll(want, []byte("VERSION"), []byte(version()))), got.String())
	var parsed any
	require.NoError(t, json.Unmarshal(got.Bytes(), &parsed))
	require.NoError(t, conform(schema, parsed))
}

func version() string {
	s := countingSpanner(nil)
	return s.request(nil).ResourceSpans[0].ScopeSpans[0].Scope.Version
}

func TestSchemaRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a field":    `{"resourceSpans":[],"more":1}`,
		"none":       `{}`,
		"no array":   `{"resourceSpans":{}}`,
		"no id":      `{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[{"scope":{"name":"a","version":"1"},"spans":[{"traceId":"x"}]}]}]}`,
		"two values": `{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"","boolValue":true}}]},"scopeSpans":[]}]}`,
		"a number":   `{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"intValue":1}}]},"scopeSpans":[]}]}`,
	} {
		var parsed any
		require.NoError(t, json.Unmarshal([]byte(text), &parsed), name)
		require.Error(t, conform(schema, parsed), name)
	}
}

// attributesOf are those of a span by name.
func attributesOf(s *span) map[string]any {
	all := map[string]any{}
	for _, a := range s.Attributes {
		switch v := a.Value; {
		case v.String != nil:
			all[a.Key] = *v.String
		case v.Int != nil:
			all[a.Key] = *v.Int
		case v.Double != nil:
			all[a.Key] = *v.Double
		case v.Bool != nil:
			all[a.Key] = *v.Bool
		}
	}

	return all
}

// TestConventions checks spans of requests against OpenTelemetry's.
func TestConventions(t *testing.T) {
	failure := func(message string) *spanStatus { return &spanStatus{statusError, message} }

	for name, test := range map[string]struct {
		t      Transaction
		want   map[string]any
		status *spanStatus
		span   string
	}{
		"plain": {Transaction{
			Method: "GET",
			Status: 200,
		}, map[string]any{"http.request.method": "GET", "http.response.status_code": "200"}, nil, "GET"},
		"unknown": {Transaction{
			Method: "BREW",
			Status: 200,
		}, map[string]any{
			"http.request.method": "_OTHER", "http.request.method_original": "BREW",
			"http.response.status_code": "200",
		}, nil, "HTTP"},
		"small": {Transaction{
			Method: "get",
			Status: 200,
		}, map[string]any{
			"http.request.method": "_OTHER", "http.request.method_original": "get",
			"http.response.status_code": "200",
		}, nil, "HTTP"},
		"a fault of the client": {
			Transaction{Method: "GET", Status: 400, Error: "bad"},
			map[string]any{"http.request.method": "GET", "http.response.status_code": "400", "error.type": "400"},
			nil, "GET",
		},
		"not found": {Transaction{
			Method: "GET",
			Status: 404,
		}, map[string]any{"http.request.method": "GET", "http.response.status_code": "404"}, nil, "GET"},
		"the application's fault": {
			Transaction{Method: "GET", Status: 500},
			map[string]any{"http.request.method": "GET", "http.response.status_code": "500", "error.type": "500"},
			failure(""), "GET",
		},
		"our fault": {
			Transaction{Method: "GET", Status: 503, Error: "full"},
			map[string]any{"http.request.method": "GET", "http.response.status_code": "503", "error.type": "503"},
			failure("full"), "GET",
		},
		"cut short": {
			Transaction{Method: "GET", Status: 200, Error: "short"},
			map[string]any{"http.request.method": "GET", "http.response.status_code": "200", "error.type": "_OTHER"},
			failure("short"), "GET",
		},
		"no response": {Transaction{
			Method: "GET",
			Error:  "gone",
		}, map[string]any{"http.request.method": "GET", "error.type": "client_gone"}, nil, "GET"},
		"host and port": {
			Transaction{Method: "GET", Host: "[::1]:8080", Protocol: "HTTP/2.0"},
			map[string]any{
				"http.request.method": "GET", "server.address": "::1", "server.port": "8080",
				"network.protocol.version": "2",
			},
			nil, "GET",
		},
		"host": {
			Transaction{Method: "GET", Host: "[::1]", Protocol: "HTTP/1.0"},
			map[string]any{"http.request.method": "GET", "server.address": "::1", "network.protocol.version": "1.0"},
			nil, "GET",
		},
		"no port": {
			Transaction{Method: "GET", Host: "a:99999", Protocol: "x"},
			map[string]any{"http.request.method": "GET", "server.address": "a"},
			nil, "GET",
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.t.Kind, test.t.Time = KindRequest, someTime
			s := newSpanner(&Config{ServiceName: "shop"})
			got := s.span(&test.t)

			require.Equal(t, test.want, attributesOf(&got))
			require.Equal(t, test.status, got.Status)
			require.Equal(t, test.span, got.Name)
			require.Equal(t, kindServer, got.Kind)
			require.Empty(t, got.ParentSpanID)
		})
	}
}

func TestIDs(t *testing.T) {
	s := newSpanner(&Config{})

	seen := map[string]bool{}
	for range 100 {
		one, other := full(), full()
		other.Traceparent = ""
		child, root := s.span(&one), s.span(&other)
		require.Equal(t, "0af7651916cd43dd8448eb211c80319c", child.TraceID)
		require.Equal(t, "b7ad6b7169203331", child.SpanID)
		require.Equal(t, "00f067aa0ba902b7", child.ParentSpanID)
		require.Empty(t, root.ParentSpanID)

		for _, id := range []string{root.SpanID, root.TraceID} {
			require.True(t, isID(id))
			seen[id] = true
		}
	}

	require.Len(t, seen, 200)
	require.Contains(t, slices.Collect(maps.Keys(attributesOf(&span{Attributes: s.resource.Attributes}))),
		"service.version")
}

func TestTheResourceIsWhatTheEnvironmentSays(t *testing.T) {
	resourceOf := func(c *Config) map[string]any {
		s := newSpanner(c)
		return attributesOf(&span{Attributes: s.resource.Attributes})
	}

	plain := resourceOf(&Config{})
	require.Equal(t, DefaultServiceName, plain["service.name"])
	require.Equal(t, "go", plain["telemetry.sdk.language"])

	got := resourceOf(&Config{ResourceAttributes: map[string]string{
		"service.name": "from the attributes", "deployment.environment.name": "staging", "host.name": "other",
	}})
	require.Equal(t, "from the attributes", got["service.name"])
	require.Equal(t, "staging", got["deployment.environment.name"])
	require.Equal(t, "other", got["host.name"])

	got = resourceOf(&Config{
		ServiceName:        "shop",
		ResourceAttributes: map[string]string{"service.name": "from the attributes"},
	})
	require.Equal(t, "shop", got["service.name"], "it counts more")
}

func TestValuesOfSignaturesAreNotRecorded(t *testing.T) {
	for query, want := range map[string]string{
		"":                            "",
		"a=b&c":                       "a=b&c",
		"sig=hidden&a=sig":            "sig=REDACTED&a=sig",
		"X-Amz%2DSignature=hidden":    "X-Amz%2DSignature=REDACTED",
		"%zz=hidden&AWSAccessKeyId":   "%zz=REDACTED&AWSAccessKeyId",
		"Signature=hidden=hidden&b=1": "Signature=REDACTED&b=1",
	} {
		require.Equal(t, want, redacted(query))
	}
}
