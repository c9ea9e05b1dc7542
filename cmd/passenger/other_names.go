package main

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

// otherNames are what the modules of nginx and Apache and other application servers call options that have another name
// here, with that name. One of several is named where the command has no other.
var otherNames = map[string][]string{
	"app_env":                     {"environment"},
	"rails_env":                   {"environment"},
	"rack_env":                    {"environment"},
	"node_env":                    {"environment"},
	"env":                         {"environment", "envvars"},
	"unix_socket":                 {"socket_file"},
	"uds":                         {"socket_file"},
	"env_var":                     {"envvars"},
	"raw_env":                     {"envvars"},
	"ctl":                         {"ctls"},
	"hooks":                       {"ctls"},
	"document_root":               {"static_files_dir"},
	"static_map":                  {"static_files_dir"},
	"pre_start":                   {"min_instances"},
	"max_instances_per_app":       {"max_instances"},
	"read_timeout":                {"max_request_time"},
	"timeout":                     {"max_request_time"},
	"worker_timeout":              {"max_request_time"},
	"harakiri":                    {"max_request_time"},
	"base_uri":                    {appsKey},
	"default_ruby":                {"ruby"},
	"default_user":                {"user"},
	"uid":                         {"user"},
	"buffer_upload":               {"request_buffering"},
	"buffer_response":             {"response_buffer_high_watermark"},
	"app_spawner_idle_time":       {"max_preloader_idle_time"},
	"rails_app_spawner_idle_time": {"max_preloader_idle_time"},
	"rails_spawn_method":          {"spawn_method"},
	"preload_app":                 {"spawn_method"},
	"lazy_apps":                   {"spawn_method"},
	"threads":                     {"thread_count"},
	"workers":                     {"max_pool_size", "min_instances"},
	"worker_processes":            {"max_pool_size", "min_instances"},
	"processes":                   {"max_pool_size", "min_instances"},
	"instances":                   {"max_pool_size", "min_instances"},
	"cheaper":                     {"min_instances"},
	"bind":                        {"address", "port", "socket_file"},
	"listen":                      {"address", "port", "socket_file"},
	"listeners":                   {"address", "port", "socket_file"},
	"http_socket":                 {"address", "port", "socket_file"},
	"host":                        {"address"},
	"keepalive":                   {"keepalive_timeout"},
	"accesslog":                   {"access_log"},
	"errorlog":                    {"log_file"},
	"stderr_path":                 {"log_file"},
	"logto":                       {"log_file"},
	"daemon":                      {"daemonize"},
	"certfile":                    {"ssl_certificate"},
	"keyfile":                     {"ssl_certificate_key"},
	"reload_on_rss":               {"memory_limit"},
	"evil_reload_on_rss":          {"hard_memory_limit"},
	"worker_max_memory":           {"memory_limit"},
	"limit_request_line":          {"max_target_size"},
	"limit_request_field_size":    {"max_header_field_size"},
	"client_max_body_size":        {"max_request_body_size"},
	"buffer_size":                 {"max_header_size"},
	"forwarded_allow_ips":         {"trusted_proxies"},
	"wsgi_file":                   {"startup_file"},
	"config_path":                 {"startup_file"},
	"executable":                  {"start_command"},
}

// didYouMean names the option that a wrong name nearly is, or that has another name elsewhere, or is empty.
func didYouMean(scope options.Scope, key string) string {
	known := []string{appsKey}
	for _, o := range agent.OptionsIn(scope) {
		known = append(known, o.Keys()...)
	}

	meant := meantOptions(key, known)
	for i, name := range meant {
		meant[i] = strconv.Quote(name)
	}

	if len(meant) == 0 {
		return ""
	}

	return ": " + question(meant)
}

// question asks whether one of the options was meant.
func question(meant []string) string {
	last := len(meant) - 1
	if last == 0 {
		return "did you mean " + meant[0] + "?"
	}

	return "did you mean " + strings.Join(meant[:last], ", ") + " or " + meant[last] + "?"
}

// meantOptions returns which of the known options is meant by another name, if one is.
func meantOptions(key string, known []string) []string {
	name := strings.TrimPrefix(snakeCase(key), "passenger_")
	if slices.Contains(known, name) {
		return []string{name}
	}

	others := slices.DeleteFunc(slices.Clone(otherNames[name]), func(one string) bool {
		return !slices.Contains(known, one)
	})
	if len(others) > 0 {
		return others
	}

	if best := nearest(name, known); best != "" {
		return []string{best}
	}

	return nil
}

// snakeCase is a name as our options are written: of PassengerMaxPoolSize and max-pool-size, too.
func snakeCase(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && strings.ContainsFunc(name, unicode.IsLower) {
			b.WriteByte('_')
		}

		b.WriteRune(unicode.ToLower(r))
	}

	return strings.ReplaceAll(strings.ReplaceAll(b.String(), "-", "_"), "__", "_")
}
