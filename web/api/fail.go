package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"

	"github.com/cairn-network/cairn/blocks"
)

// The codes of a [Problem] and of the error line of a put.
const (
	CodeUsage        = "usage"        // the request is wrong
	CodeUnauthorized = "unauthorized" // no token, or a wrong one
	CodeForbidden    = "forbidden"    // foreign Host or Origin
	CodeNotFound     = "not_found"    // nobody who was asked has it
	CodeTimeout      = "timeout"      // not found out in time
	CodeIntegrity    = "integrity"    // bytes did not match their CID
	CodeFull         = "full"         // no space left
	CodeShort        = "short"        // kept, with fewer copies than waited for
	CodeUnavailable  = "unavailable"  // starting or stopping
	CodeInternal     = "internal"     // any other failure
)

// Problem is the answer to a request that failed, as RFC 9457 has it.
type Problem struct {
	Type      string `json:"type"` // always about:blank
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"` // one of the Code constants
	Hint      string `json:"hint,omitempty"`
	RequestID string `json:"request_id"`
}

// refusal is an error that says itself how it is to be answered.
type refusal struct {
	status             int
	code, detail, hint string
}

func (e *refusal) Error() string { return e.detail }

// usage refuses a request for what is wrong with it.
func usage(detail, hint string) error {
	return &refusal{http.StatusBadRequest, CodeUsage, detail, hint}
}

// describe is the table from error to status, code and hint; nothing else maps errors.
func describe(err error) (status int, code, hint string) {
	var (
		refused *refusal
		path    *blocks.PathError
		name    *blocks.NameError
		short   *blocks.ShortError
		address *BadAddressError
		silent  *NoAnswerError
		file    *blocks.CARError
		gap     *blocks.GapError
		key     *blocks.KeyError
		record  *blocks.RecordError
	)
	switch {
	case errors.As(err, &refused):
		return refused.status, refused.code, refused.hint
	case errors.As(err, &path):
		return http.StatusBadRequest, CodeUsage, "give a CID, CID/path, /ipfs/CID/path or /ipns/NAME/path"
	case errors.As(err, &address):
		return http.StatusBadRequest, CodeUsage, "give an address such as /ip4/192.0.2.7/tcp/4101/p2p/12D3KooW..."
	case errors.As(err, &silent):
		return http.StatusGatewayTimeout, CodeTimeout, "is that peer running, and can this machine reach it?"
	case errors.As(err, &key):
		return http.StatusBadRequest, CodeUsage, ""
	case errors.As(err, &record):
		return http.StatusConflict, CodeUsage, "what was known before stands"
	case errors.Is(err, blocks.ErrNoKey):
		return http.StatusNotFound, CodeNotFound, "the list of keys has what there is"
	case errors.As(err, &name):
		return http.StatusBadRequest, CodeUsage, "nothing was kept; rename it, or leave it out"
	case errors.As(err, &file) && errors.Is(err, blocks.ErrMismatch):
		return http.StatusBadRequest, CodeIntegrity, "nothing was kept; the file is damaged, or forged"
	case errors.As(err, &file):
		return http.StatusBadRequest, CodeUsage, "nothing was kept"
	case errors.As(err, &gap):
		return http.StatusNotFound, CodeNotFound, "nothing was kept; without pins the blocks that came are kept as what was merely read"
	case errors.Is(err, blocks.ErrUnfit):
		return http.StatusBadRequest, CodeUsage, "nothing was kept"
	case errors.As(err, &short): // seen in streams only
		return http.StatusAccepted, CodeShort, "this peer goes on spreading it; health shows how far it got"
	case errors.Is(err, blocks.ErrMismatch):
		return http.StatusBadGateway, CodeIntegrity, "no byte of it was given on; try again"
	case errors.Is(err, blocks.ErrBusy):
		return http.StatusConflict, CodeUnavailable, "wait for it to end"
	case errors.Is(err, blocks.ErrNoLease):
		return http.StatusConflict, CodeShort, "nobody has asked for copies of it; who puts it asks for them"
	case errors.Is(err, blocks.ErrFull):
		return http.StatusInsufficientStorage, CodeFull, "free some space and try again"
	case blocks.IsNotFound(err):
		return http.StatusNotFound, CodeNotFound, "check the CID, or try again when a peer that holds it is online"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusGatewayTimeout, CodeTimeout, "try again; the peers that hold it may be slow or away"
	case errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable, CodeUnavailable, ""
	}
	return http.StatusInternalServerError, CodeInternal, ""
}

// detail says what went wrong. That nobody has a block is said without the way there.
func detail(err error) string {
	var miss *blocks.MissError
	if errors.As(err, &miss) && !errors.Is(err, blocks.ErrMismatch) {
		return miss.Error()
	}
	return err.Error()
}

// lineOf is err as the last line of a stream.
func lineOf(err error) ErrorLine {
	_, code, hint := describe(err)
	return ErrorLine{Type: LineError, Code: code, Message: detail(err), Hint: hint}
}

// fail answers r with err. Nothing may have been answered before.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, code, hint := describe(err)
	h := w.Header()
	if code == CodeInternal {
		s.cfg.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err, "request", h.Get("X-Request-Id"))
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="cairn"`)
	}
	if m := s.mount(r); m != nil {
		m.Fail(w, status, code, detail(err))
		return
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that has left takes no answer; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail(err),
		Code: code, Hint: hint, RequestID: h.Get("X-Request-Id"),
	})
}

// reply answers with v as JSON.
func (s *server) reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.cfg.Log.Debug("client left", "err", err)
	}
}
