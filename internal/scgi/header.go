package scgi

import (
	"net/http"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// names of headers that most requests have.
var names = map[string]string{
	"ACCEPT": "Accept", "ACCEPT_ENCODING": "Accept-Encoding", "ACCEPT_LANGUAGE": "Accept-Language",
	"AUTHORIZATION": "Authorization", "CACHE_CONTROL": "Cache-Control", "COOKIE": "Cookie",
	"IF_MODIFIED_SINCE": "If-Modified-Since", "IF_NONE_MATCH": "If-None-Match", "ORIGIN": "Origin", "PRAGMA": "Pragma",
	"RANGE": "Range", "REFERER": "Referer", "SEC_FETCH_DEST": "Sec-Fetch-Dest", "SEC_FETCH_MODE": "Sec-Fetch-Mode",
	"SEC_FETCH_SITE": "Sec-Fetch-Site", "SEC_FETCH_USER": "Sec-Fetch-User",
	"UPGRADE_INSECURE_REQUESTS": "Upgrade-Insecure-Requests",
	"USER_AGENT":                "User-Agent", "X_FORWARDED_FOR": "X-Forwarded-For",
	"X_FORWARDED_PROTO": "X-Forwarded-Proto",
	"X_REQUESTED_WITH":  "X-Requested-With",
}

// dropped are headers that are between the client and the web server, that have a
// parameter of their own, and one that became others' proxy.
var dropped = map[string]bool{
	"CONNECTION": true, "KEEP_ALIVE": true, "TE": true, "TRAILER": true, "UPGRADE": true, "EXPECT": true,
	"HTTP2_SETTINGS":   true,
	"PROXY_CONNECTION": true, "PROXY_AUTHORIZATION": true, "PROXY_AUTHENTICATE": true,
	"CONTENT_LENGTH": true, "CONTENT_TYPE": true, "HOST": true, "PROXY": true,
}

// headerName is the header that HTTP_ and rest stand for.
func headerName(rest string) string {
	if name, ok := names[rest]; ok {
		return name
	}

	return http.CanonicalHeaderKey(strings.ReplaceAll(rest, "_", "-"))
}

// makeHeader makes headers of parameters.
func makeHeader(params ParamList) (http.Header, error) {
	// The type and length of the body are two more.
	count := 2
	for i := range params {
		if strings.HasPrefix(params[i].Name, headerPrefix) {
			count++
		}
	}

	header := make(http.Header, count)

	values := make([]string, 0, count)
	for i := range params {
		rest, ok := strings.CutPrefix(params[i].Name, headerPrefix)
		if !ok || rest == "" || !plainName(rest) {
			continue
		}

		if !httpfield.ValidValue(params[i].Value) {
			return nil, bad("the parameter %s has a control character", show(params[i].Name))
		}

		if rest == "TRANSFER_ENCODING" && !httpfield.EqualFold(params[i].Value, "chunked") {
			// nginx removes this one and leaves the header.
			return nil, refuse(http.StatusNotImplemented,
				"the request's Transfer-Encoding is %s, which SCGI has no place for", show(params[i].Value))
		}

		if dropped[rest] || rest == "TRANSFER_ENCODING" {
			continue
		}

		name := headerName(rest)
		if before := header[name]; before != nil {
			header[name] = append(before, params[i].Value)
			continue
		}

		// The capacity is cut, so that a second value of the name does not run into the next one.
		at := len(values)
		values = append(values, params[i].Value)
		header[name] = values[at : at+1 : at+1]
	}

	return header, nil
}
