package client

import (
	"context"
	"fmt"
	"io"
	"time"
)

// answer is the body of a response: a read that lasts longer than idle breaks
// it off, and every end but the right one is an error.
type answer struct {
	io.ReadCloser
	idle      time.Duration
	cancel    context.CancelCauseFunc // ends the request
	cancelled func() error            // why the request was ended; nil: it was not
}

func (a *answer) Read(p []byte) (int, error) {
	watch := time.AfterFunc(a.idle, func() {
		a.cancel(fmt.Errorf("the daemon sent nothing for %s: %w", a.idle, context.DeadlineExceeded))
	})
	n, err := a.ReadCloser.Read(p)
	watch.Stop()
	switch {
	case err == nil || err == io.EOF: //nolint:errorlint // io.Reader says EOF itself
		return n, err
	case a.cancelled() != nil:
		return n, fmt.Errorf("client: %w", a.cancelled())
	case err == io.ErrUnexpectedEOF: //nolint:errorlint // only to say it once
		return n, fmt.Errorf("client: the answer was cut short: %w", err)
	}
	return n, fmt.Errorf("client: the answer was cut short: %w: %w", io.ErrUnexpectedEOF, err)
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.cancel(nil)
	return err
}
