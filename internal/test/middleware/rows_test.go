package middleware_test

import (
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	chi "github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/rs/cors"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// fault is what is known not to work.
type fault struct {
	// reason stands in the table, says in the error of the case.
	reason, says string
}

// row is middleware of a kind.
type row struct {
	name   string
	around func(app http.Handler) http.Handler
	// below is where the application is, from the root of the server.
	below string
	// faults are what does not work, by the names of the cases; all else works.
	faults map[string]fault
}

const (
	maxBody = 2 << 20
	limit   = 2 * time.Second
)

var standardLibrary = []row{
	{name: "none", around: func(app http.Handler) http.Handler { return app }},
	{name: "http.StripPrefix", below: "/shop", around: func(app http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle("/shop/", http.StripPrefix("/shop", app))
		return m
	}},
	{
		name:   "http.MaxBytesHandler",
		around: func(app http.Handler) http.Handler { return http.MaxBytesHandler(app, maxBody) },
	},
	{
		name: "http.TimeoutHandler", around: func(app http.Handler) http.Handler {
			return http.TimeoutHandler(app,
				limit, "too late")
		},
		faults: map[string]fault{
			"cookies":   {"no: an application's replace those set outside of it", "no cookie outer"},
			"SSE":       {"no: it holds responses back", "status 503"},
			"WebSocket": {"no: it cannot hijack", "the response to the upgrade is 5"},
		},
	},
	{name: "http.CrossOriginProtection", around: http.NewCrossOriginProtection().Handler},
}

var chiRouter = []row{
	chiRow("RealIP", realIP),
	chiRow("RequestID", chimiddleware.RequestID),
	chiRow("StripSlashes", chimiddleware.StripSlashes),
	chiRow("CleanPath", chimiddleware.CleanPath),
	chiRow("Recoverer", chimiddleware.Recoverer),
	chiRow("Compress", chimiddleware.Compress(5)),
	chiRow("Timeout", chimiddleware.Timeout(time.Minute)),
	chiRow("Throttle", chimiddleware.Throttle(10)),
	chiRow("Logger", chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{
		Logger:  discarding{},
		NoColor: true,
	})),
	{name: "chi: `Mount`", below: "/shop", around: func(app http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Mount("/shop", http.StripPrefix("/shop", app))
		return r
	}},
}

// realIP is what programs have, for all that chi advises against it now.
var realIP = chimiddleware.RealIP //nolint:staticcheck // SA1019: see above

// discarding is a logger of chi.
type discarding struct{}

func (discarding) Print(...any) {}

func chiRow(name string, m ...func(http.Handler) http.Handler) row {
	return row{name: "chi: `" + name + "`", around: func(app http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(m...)
		r.Handle("/*", app)

		return r
	}}
}

var gorilla = []row{
	{name: "gorilla/mux", below: "/shop", around: func(app http.Handler) http.Handler {
		r := mux.NewRouter().UseEncodedPath()
		r.PathPrefix("/shop/").Handler(http.StripPrefix("/shop", app))
		return r
	}},
	{name: "gorilla: `ProxyHeaders`", around: handlers.ProxyHeaders},
	{name: "gorilla: `RecoveryHandler`", around: handlers.RecoveryHandler(handlers.RecoveryLogger(silent{}))},
	{name: "gorilla: `CompressHandler`", around: handlers.CompressHandler},
	{name: "gorilla: `CombinedLoggingHandler`", around: func(app http.Handler) http.Handler {
		return handlers.CombinedLoggingHandler(io.Discard, app)
	}},
	{name: "gorilla: `CORS`", around: handlers.CORS()},
}

// silent is a logger of gorilla.
type silent struct{}

func (silent) Println(...any) {}

var others = []row{
	echoRow("`Recover`", echomiddleware.Recover()),
	echoRow("`RequestID`", echomiddleware.RequestID()),
	echoRow("`BodyLimit`", echomiddleware.BodyLimit("2M")),
	echoRow("`ContextTimeout`", echomiddleware.ContextTimeout(time.Minute)),
	echoRow("`Secure`", echomiddleware.Secure()),
	echoRow("`Gzip`", echomiddleware.Gzip()),
	{name: "gin: `Logger`, `Recovery`", around: func(app http.Handler) http.Handler {
		gin.SetMode(gin.ReleaseMode)
		e := gin.New()
		e.Use(gin.LoggerWithWriter(io.Discard), gin.RecoveryWithWriter(io.Discard))
		e.Any("/*path", gin.WrapH(app))

		return e
	}},
	{name: "rs/cors", around: cors.AllowAll().Handler},
	{
		name:   "klauspost/compress: `gzhttp`",
		around: func(app http.Handler) http.Handler { return gzhttp.GzipHandler(app) },
	},
	{
		name:   "OpenTelemetry: `otelhttp`",
		around: func(app http.Handler) http.Handler { return otelhttp.NewHandler(app, "app") },
	},
}

func echoRow(name string, m ...echo.MiddlewareFunc) row {
	return row{name: "echo: " + name, around: func(app http.Handler) http.Handler {
		e := echo.New()
		e.Logger.SetOutput(io.Discard)
		e.Use(m...)
		e.Any("/*", echo.WrapHandler(app))

		return e
	}}
}

// together is what a program has that uses a lot of it.
var together = row{
	name:  "otelhttp, cors, `Logger`, `Recoverer`, `RealIP`, gzhttp together",
	below: "/shop",
	around: func(app http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(
			func(next http.Handler) http.Handler { return otelhttp.NewHandler(next, "shop") },
			cors.AllowAll().Handler,
			chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: discarding{}, NoColor: true}),
			chimiddleware.Recoverer,
			realIP,
			func(next http.Handler) http.Handler { return gzhttp.GzipHandler(next) },
			func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, maxBody) },
		)
		r.Mount("/shop", http.StripPrefix("/shop", app))

		return r
	},
}
