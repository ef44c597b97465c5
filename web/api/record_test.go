package api_test

import (
	"net/http"
	"net/http/httptest"
)

// record asks h without a connection.
func record(h http.Handler, method, url, auth string) *http.Response {
	r := httptest.NewRequest(method, url, nil)
	r.Header.Set("Authorization", auth)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}
