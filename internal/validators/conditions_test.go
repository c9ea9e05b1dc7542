package validators_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/validators"
)

func TestConditionsOfAStoredResponse(t *testing.T) {
	const day = "Sat, 01 Jan 2000 00:00:00 GMT"
	const later = "Sun, 02 Jan 2000 00:00:00 GMT"
	tagged := http.Header{"Etag": {`"a"`}, "Last-Modified": {day}}

	for name, test := range map[string]struct {
		request, stored http.Header
		want            bool
	}{
		"no condition":                  {http.Header{}, tagged, false},
		"the tag":                       {http.Header{"If-None-Match": {`"a"`}}, tagged, true},
		"the tag as a weak one":         {http.Header{"If-None-Match": {`W/"a"`}}, tagged, true},
		"a weak tag":                    {http.Header{"If-None-Match": {`"a"`}}, http.Header{"Etag": {`W/"a"`}}, true},
		"another tag":                   {http.Header{"If-None-Match": {`"b"`}}, tagged, false},
		"one of a list":                 {http.Header{"If-None-Match": {`"b", ,W/"c" , "a"`}}, tagged, true},
		"one of several lines":          {http.Header{"If-None-Match": {`"b"`, `"a"`}}, tagged, true},
		"a comma within a tag":          {http.Header{"If-None-Match": {`"x,"a","`}}, tagged, false},
		"any":                           {http.Header{"If-None-Match": {" * "}}, http.Header{}, true},
		"any, and a tag":                {http.Header{"If-None-Match": {`*, "a"`}}, tagged, false},
		"no quotes":                     {http.Header{"If-None-Match": {"a"}}, tagged, false},
		"no quotes in the response":     {http.Header{"If-None-Match": {"a"}}, http.Header{"Etag": {"a"}}, false},
		"an open quote":                 {http.Header{"If-None-Match": {`"a`}}, tagged, false},
		"a response without a tag":      {http.Header{"If-None-Match": {`"a"`}}, http.Header{"Last-Modified": {day}}, false},
		"an empty list":                 {http.Header{"If-None-Match": {""}}, tagged, false},
		"the time":                      {http.Header{"If-Modified-Since": {day}}, tagged, true},
		"a later time":                  {http.Header{"If-Modified-Since": {later}}, tagged, true},
		"an earlier time":               {http.Header{"If-Modified-Since": {day}}, http.Header{"Last-Modified": {later}}, false},
		"a response without a time":     {http.Header{"If-Modified-Since": {day}}, http.Header{"Etag": {`"a"`}}, false},
		"no time":                       {http.Header{"If-Modified-Since": {"yesterday"}}, tagged, false},
		"another tag counts, not time":  {http.Header{"If-None-Match": {`"b"`}, "If-Modified-Since": {day}}, tagged, false},
		"the tag counts, not the time":  {http.Header{"If-None-Match": {`"a"`}, "If-Modified-Since": {"x"}}, tagged, true},
		"what follows the first tag is": {http.Header{"If-None-Match": {`"b"x"a"`}}, tagged, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, validators.NotModified(test.request, test.stored))
		})
	}
}
