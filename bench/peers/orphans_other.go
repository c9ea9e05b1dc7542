//go:build !linux

package main

import "errors"

func adoptOrphans() error { return errors.New("only Linux can: run this there") }
