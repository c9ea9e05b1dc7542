package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

const helloText = "Hello, world!\n"

const megabyte = 1 << 20

func checkHello(ctx context.Context, url string) error { return checkHost(ctx, url, "") }

// checkHost asks for a host; empty means that of the URL.
func checkHost(ctx context.Context, url, host string) error {
	body, err := ask(ctx, http.MethodGet, url+"/", host, nil)
	if err == nil && body != helloText {
		err = fmt.Errorf("the response to GET / of %s is %.60q", cmp.Or(host, url), body)
	}

	return err
}

// checkResponses checks all responses of the application.
func checkResponses(ctx context.Context, url string) error {
	if err := checkHello(ctx, url); err != nil {
		return err
	}

	for path, length := range map[string]int{"/64k": 64 << 10, "/1m": megabyte} {
		body, err := ask(ctx, http.MethodGet, url+path, "", nil)
		switch {
		case err != nil:
			return err
		case body != strings.Repeat("x", length):
			return fmt.Errorf("the response to GET %s has %d bytes in place of %d times the letter x", path, len(body),
				length)
		}
	}

	body, err := ask(ctx, http.MethodPost, url+"/upload", "", strings.NewReader(strings.Repeat("x", megabyte)))
	if err == nil && strings.TrimSpace(body) != strconv.Itoa(megabyte) {
		err = fmt.Errorf("the response to POST /upload of %d bytes is %.60q", megabyte, body)
	}

	return err
}

// ask sends a request over a connection of its own.
func ask(ctx context.Context, method, url, host string, body io.Reader) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return "", err
	}

	request.Host, request.Close = host, true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()

	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s %s: %w", method, url, err)
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%s %s got %s: %.200q", method, url, response.Status, text)
	}

	return string(text), nil
}

// freePort is an address on the loopback where nothing listens.
func freePort(ctx context.Context) (addr, port string, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", fmt.Errorf("no port is free: %w", err)
	}
	defer l.Close()
	addr = l.Addr().String()
	_, port, err = net.SplitHostPort(addr)

	return addr, port, err
}
