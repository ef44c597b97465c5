package api

import (
	_ "embed"
	"net/http"
)

// openapiJSON describes the routes to people and to makers of clients. A test
// holds it to the table of routes.
//
//go:embed openapi.json
var openapiJSON []byte

func (s *server) openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(openapiJSON); err != nil {
		s.cfg.Log.Debug("client left", "err", err)
	}
}
