package agent

import (
	"mime"
	"path"
	"strings"
)

// contentTypes are those that do not depend on the machine. What a browser refuses to use under another type is here
// (modules, WebAssembly, manifests, fonts, style sheets), and what lists of types differ about. No browser runs
// TypeScript: a .ts that it asks for is a part of a video (HLS), for which players check the type.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8", ".xhtml": "application/xhtml+xml",
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".cjs":  "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".jsonld": "application/ld+json",
	".geojson":     "application/geo+json",
	".webmanifest": "application/manifest+json", ".wasm": "application/wasm",
	".xml": "text/xml; charset=utf-8", ".xsl": "text/xml; charset=utf-8", ".rss": "application/rss+xml",
	".atom": "application/atom+xml",
	".txt":  "text/plain; charset=utf-8", ".text": "text/plain; charset=utf-8", ".md": "text/markdown; charset=utf-8",
	".csv": "text/csv; charset=utf-8", ".vtt": "text/vtt; charset=utf-8", ".ics": "text/calendar; charset=utf-8",
	".yaml": "application/yaml", ".yml": "application/yaml", ".toml": "application/toml",
	".appcache": "text/cache-manifest",

	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
	".avif": "image/avif", ".heic": "image/heic", ".jxl": "image/jxl", ".apng": "image/apng", ".bmp": "image/bmp",
	".svg": "image/svg+xml", ".ico": "image/vnd.microsoft.icon", ".tif": "image/tiff", ".tiff": "image/tiff",

	".woff2": "font/woff2", ".woff": "font/woff", ".ttf": "font/ttf", ".otf": "font/otf",
	".eot": "application/vnd.ms-fontobject",

	".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg", ".mov": "video/quicktime",
	".ts": "video/mp2t", ".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".oga": "audio/ogg", ".ogg": "audio/ogg",
	".opus": "audio/ogg", ".wav": "audio/wav", ".flac": "audio/flac", ".weba": "audio/webm",

	".pdf": "application/pdf", ".zip": "application/zip", ".gz": "application/gzip", ".br": "application/octet-stream",
	".tar": "application/x-tar", ".bz2": "application/x-bzip2", ".7z": "application/x-7z-compressed",
	".zst": "application/zstd",
	".glb": "model/gltf-binary", ".gltf": "model/gltf+json", ".swf": "application/x-shockwave-flash",
	".bin": "application/octet-stream", ".dmg": "application/octet-stream", ".exe": "application/octet-stream",
	".apk": "application/vnd.android.package-archive",
}

// compressedTypes get much smaller in a coding, beside those that are text.
var compressedTypes = map[string]bool{
	"application/json": true, "application/ld+json": true, "application/geo+json": true,
	"application/manifest+json": true,
	"application/wasm":          true, "application/xml": true, "application/xhtml+xml": true,
	"application/rss+xml":  true,
	"application/atom+xml": true, "application/yaml": true, "application/toml": true, "application/javascript": true,
	"application/vnd.apple.mpegurl": true, "application/dash+xml": true, "application/vnd.ms-fontobject": true,
	"image/svg+xml": true, "font/ttf": true, "font/otf": true, "model/gltf+json": true,
}

// contentType is that of a file of this name; empty means unknown. Names that are not in our list are looked up in the
// machine's.
func contentType(name string) string {
	extension := strings.ToLower(path.Ext(name))
	if kind, ok := contentTypes[extension]; ok {
		return kind
	}

	return mime.TypeByExtension(extension)
}

// compressible reports whether what a file of this name has gets much smaller.
func compressible(name string) bool {
	kind, _, _ := strings.Cut(contentType(name), ";")
	return strings.HasPrefix(kind, "text/") || compressedTypes[kind]
}
