package apiserver

import (
	"maps"
	"net/http"
)

const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete

func (s *Server) coreRoutes() map[string]methods {
	routes := map[string]methods{
		"/server.json":         {get: {inspect, (*call).showRequests}},
		clientPath:             {del: {admin, (*call).disconnectClient}},
		"/gc.json":             {put: {admin, (*call).freeMemory}},
		"/reinherit_logs.json": {post: {admin, (*call).reinheritLogs}},
		"/livez":               {get: {nothing, (*call).live}},
		"/readyz":              {get: {nothing, (*call).ready}},
	}
	maps.Copy(routes, commonRoutes())
	maps.Copy(routes, map[string]methods{
		"/pool.txt":                    {get: {readPool, (*call).showPoolAsText}},
		"/pool.xml":                    {get: {readPool, (*call).showPoolAsXML}},
		"/pool.json":                   {get: {readPool, (*call).showPoolAsJSON}},
		"/pool/errors.txt":             {get: {readPool, (*call).showFailuresAsText}},
		"/pool/errors.json":            {get: {readPool, (*call).showFailuresAsJSON}},
		"/pool/explain.json":           {get: {readPool, (*call).showExplanations}},
		"/pool/restart_app_group.json": {post: {modifyPool, (*call).restartGroup}},
		"/pool/detach_process.json":    {post: {modifyPool, (*call).detachProcess}},
		"/figures.json":                {get: {readPool, (*call).showFigures}},
		"/pool/backtraces.json":        {post: {modifyPool, (*call).showBacktraces}},
		"/incidents.json":              {get: {inspect, (*call).listIncidents}},
		incidentPath:                   {get: {inspect, (*call).showIncident}},
		"/metrics":                     {get: {inspect, (*call).showMetrics}},
	})

	return routes
}

// commonRoutes are those of every program.
func commonRoutes() map[string]methods {
	return map[string]methods{
		"/ping.json":        {get: {readOrInspect, (*call).ping}},
		"/info.json":        {get: {readOrInspect, (*call).info}},
		"/version.json":     {get: {readOrInspect, (*call).info}},
		"/backtraces.txt":   {get: {inspect, (*call).backtraces}},
		"/config.json":      {get: {inspect, (*call).showSettings}, put: {admin, (*call).changeSettings}},
		"/reopen_logs.json": {post: {admin, (*call).reopenLogs}},
		"/shutdown.json":    {post: {admin, (*call).shutdown}},
	}
}
