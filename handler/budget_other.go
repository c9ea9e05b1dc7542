//go:build !linux

package handler

// machineMemory is a guess where the system does not say.
func machineMemory() int64 { return fallbackMemory }
