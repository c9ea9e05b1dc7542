package realapps_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

const expressRoutes = `var express = require('express');
var fs = require('fs');
var multer = require('multer');
var router = express.Router();
var upload = multer({ storage: multer.memoryStorage() });

router.get('/', function(req, res, next) {
  res.render('index', { title: req.cookies.name || 'Express' });
});

router.post('/form', function(req, res) {
  res.cookie('name', req.body.name).redirect('/');
});

router.post('/upload', upload.single('photo'), function(req, res) {
  res.json({ name: req.file.originalname, size: req.file.size });
});

router.get('/address', function(req, res) {
  res.send(req.ip);
});

router.get('/events', function(req, res) {
  res.set('Content-Type', 'text/event-stream');
  res.write('data: first\n\n');
  var timer = setInterval(function() {
    if (fs.existsSync('second')) {
      clearInterval(timer);
      res.end('data: second\n\n');
    }
  }, 10);
});

module.exports = router;
`

// expressApp makes an application by express-generator.
func expressApp(t testing.TB) *workshop {
	t.Helper()
	modules := packages(t, "express-generator", 18)
	w := newWorkshop(t)
	w.run(t, filepath.Join(modules, ".bin", "express"), "--view=pug", "app")
	require.FileExists(t, filepath.Join(w.dir, "bin", "www"))
	w.write(t, "routes/index.js", expressRoutes)
	w.linkPackages(t, modules)

	return w
}

func TestExpressGenerator(t *testing.T) {
	t.Parallel()

	for name, args := range map[string][]string{
		"as generated": nil,
		"startup file": {"--startup-file", "bin/www"},
		"npm start":    {"--start-command", "npm start"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := expressApp(t)
			if len(args) > 0 && args[0] == "--start-command" {
				// Our loader is not there to give connections the client's address.
				w.edit(t, "app.js", "var app = express();", "var app = express();\napp.set('trust proxy', true);")
			}

			s := w.start(t, args...)

			s.get(t, "/", http.StatusOK, "Welcome to Express")
			s.post(t, "/form", "name", "Zoe").requireRedirect(t, http.StatusFound, "/")
			s.get(t, "/", http.StatusOK, "Welcome to Zoe")
			s.requireStatic(t, "/stylesheets/style.css", "text/css", "font:")
			s.get(t, "/users", http.StatusOK, "respond with a resource")
			s.get(t, "/missing", http.StatusNotFound, "<h1>Not Found</h1>")
			s.upload(t, "/upload", "photo", "photo.png").require(t, http.StatusOK, `"size":`+strconv.Itoa(uploadSize))
			s.requireClientAddress(t)
			s.requireStream(t, "/events", "data: first", "data: second")
			s.lacks(gotSocket, "Express alone")
			s.restartUnderLoad(t, "/", "Welcome to Express")
		})
	}
}
