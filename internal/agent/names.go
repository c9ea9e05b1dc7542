package agent

import (
	"os"
	"path/filepath"
	"strconv"
)

// DefaultPIDFile is where a server that runs in the background has its pid file.
func (c *Config) DefaultPIDFile() string {
	return filepath.Join(c.subdirectory("tmp", "pids"), c.fileName()+".pid")
}

// DefaultLogFile is where it has its log.
func (c *Config) DefaultLogFile() string {
	return filepath.Join(c.subdirectory("log"), c.fileName()+".log")
}

// fileName is different for each server of one application.
func (c *Config) fileName() string {
	if c.SocketFile != "" {
		return "passenger"
	}
	return "passenger." + strconv.Itoa(c.Port)
}

// subdirectory is one of the application's if it has that, or else its own.
func (c *Config) subdirectory(names ...string) string {
	dir := filepath.Join(append([]string{c.Dir}, names...)...)
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return dir
	}
	return c.Dir
}
