package testapp

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/sessionproto"
)

// checkPrefix is where the behaviours that serve respond as they are asked to,
// whatever they speak:
//
//	/check/status/N   with status N
//	/check/redirect   with a redirection
//	/check/host/NAME  with 200 if the Host is NAME, else with 400
//	/check/https      with 200 if the request came by HTTPS, else with 301
//	/check/count      with 200, and writes the path and the User-Agent into the
//	                  file "requests" of the working directory
//	/check/big        with a body of 8 MiB
//	/check/html       with 500 and a page
//	/check/trace      with 500, after a traceback on stderr
//	/check/hang       never
//	/check/endless    with a body that does not end
//	/check/cut        by closing the connection
//	/check/half       with half a body
//	/check/garbage    with what is no response
//	/check/exit/N     by ending with status N
const checkPrefix = "/check/"

// respondAsAsked writes the whole response to a request below checkPrefix, and reports
// whether the path was one. The connection is then to be closed.
func respondAsAsked(w io.Writer, path string, field func(name string) string) bool {
	rest, ok := strings.CutPrefix(path, checkPrefix)
	if !ok {
		return false
	}

	name, argument, _ := strings.Cut(rest, "/")
	respond := func(status int, header, body string) {
		_, _ = fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s",
			status, http.StatusText(status), header, len(body), body)
	}
	number := func() int {
		n, err := strconv.Atoi(argument)
		check(err)
		return n
	}

	switch name {
	case "status":
		respond(number(), "", "this is "+argument)
	case "redirect":
		respond(http.StatusFound, "Location: /login\r\n", "")
	case "host":
		status := http.StatusBadRequest
		if field("Host") == argument {
			status = http.StatusOK
		}

		respond(status, "", "")
	case "https":
		status := http.StatusMovedPermanently
		if field("X-Forwarded-Proto") == "https" {
			status = http.StatusOK
		}

		respond(status, "", "")
	case "count":
		f, err := os.OpenFile("requests", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		check(err)
		_, err = fmt.Fprintln(f, path, field("User-Agent"))
		check(err)
		check(f.Close())
		respond(http.StatusOK, "", "")
	case "big":
		respond(http.StatusOK, "", strings.Repeat("x", 8<<20))
	case "html":
		page := "<!DOCTYPE html><style>b { color: red }</style><h1>Server Error (500)</h1>\n<p>It&#39;s broken"
		respond(http.StatusInternalServerError, "Content-Type: text/html\r\n", page)
	case "trace":
		_, _ = os.Stderr.WriteString("Traceback (most recent call last):\nSyntaxError: invalid syntax\n")
		respond(http.StatusInternalServerError, "", "")
	case "hang":
		hang()
	case "endless":
		_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		hang()
	case "half":
		_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	case "garbage":
		_, _ = io.WriteString(w, "SSH-2.0-OpenSSH_9\r\n\r\n")
	case "cut":
	case "exit":
		os.Exit(number())
	default:
		respond(http.StatusNotFound, "", "")
	}

	return true
}

// checkHTTP is respondAsAsked for a server of package net/http.
func checkHTTP(w http.ResponseWriter, r *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return
	}

	conn, _, err := hijacker.Hijack()
	check(err)
	defer func() { _ = conn.Close() }()
	respondAsAsked(conn, r.URL.Path, func(name string) string {
		if name == "Host" {
			return r.Host
		}

		return r.Header.Get(name)
	})
}

// checkSession is respondAsAsked for a request of the session protocol.
func checkSession(c net.Conn, h sessionproto.Header) bool {
	return respondAsAsked(c, h["PATH_INFO"], func(name string) string {
		if name == "X-Forwarded-Proto" && h["HTTPS"] == "on" {
			return "https"
		}

		return h["HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]
	})
}
