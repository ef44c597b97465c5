package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

// Error is what a peer said in place of an answer. errors.Is holds for another
// *Error with the same Code, and for the error of package blocks or context that
// the peer had: blocks.IsNotFound, blocks.ErrMismatch, blocks.ErrFull,
// context.DeadlineExceeded.
type Error struct {
	Status int    // of HTTP
	Code   string // one of the codes of package api
	Title  string
	Detail string // a sentence
	Hint   string // what may help; may be empty
}

func (e *Error) Error() string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Title
}

// Is compares codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error) //nolint:errorlint // Is is called for each error of the chain
	return ok && t.Code == e.Code
}

// Unwrap gives the error that Code stands for.
func (e *Error) Unwrap() error {
	switch e.Code {
	case api.CodeNotFound:
		return blocks.NotFound(cid.Undef)
	case api.CodeIntegrity:
		return blocks.ErrMismatch
	case api.CodeFull:
		return blocks.ErrFull
	case api.CodeTimeout:
		return context.DeadlineExceeded
	}
	return nil
}

// UnreachableError says that no peer answered at URL.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string { return fmt.Sprintf("no daemon at %s: %v", e.URL, e.Err) }
func (e *UnreachableError) Unwrap() error { return e.Err }

// problem reads the error that res holds.
func problem(res *http.Response) error {
	var p api.Problem
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case err != nil && res.Request.Method != http.MethodHead:
		return fmt.Errorf("client: read error: %w", err)
	case json.Unmarshal(body, &p) == nil && p.Code != "":
		return &Error{res.StatusCode, p.Code, p.Title, p.Detail, p.Hint}
	case res.StatusCode == http.StatusServiceUnavailable:
		return &Error{res.StatusCode, api.CodeUnavailable, http.StatusText(res.StatusCode), "the daemon is not ready", "try again in a moment"}
	}
	return stranger(res.StatusCode, fmt.Sprintf("answers %d", res.StatusCode))
}

// stranger is the error for a server that is no API of ours.
func stranger(status int, what string) error {
	return &Error{status, api.CodeUnavailable, http.StatusText(status), "this is not the API of a cairn daemon: it " + what, "check the address"}
}
