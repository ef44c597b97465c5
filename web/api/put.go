package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

var (
	errLeft = fmt.Errorf("the client left before the end of the file: %w", context.Canceled)
	errStop = fmt.Errorf("this peer is stopping: %w", context.Canceled)
)

// put keeps the body of r, a file or a tree.
func (s *server) put(w http.ResponseWriter, r *http.Request) {
	o, err := putOptions(r)
	items, kindErr := tree(r)
	if err == nil {
		err = kindErr
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.receive(w, r, o.Name, func(ctx context.Context, j *job, body io.Reader, tell func(blocks.Progress)) (kept, error) {
		var receipt blocks.Receipt
		var err error
		if items == nil {
			receipt, err = s.n.Put(ctx, body, o, tell)
		} else {
			receipt, err = s.n.PutTree(ctx, j.countItems(items(body)), o, tell)
		}
		out := NewReceipt(receipt)
		return kept{SummaryLine{LineSummary, out}, out, func(l *ErrorLine) { l.Receipt = &out }}, err
	})
}

// kept is what became of a body.
type kept struct {
	summary any              // the last line, if it is kept as it was asked for
	receipt Receipt          // of the job
	short   func(*ErrorLine) // adds to the last line what is kept with too few copies
}

// receive has keep keep the body of r. The answer begins before the body has been read. Up
// to the end of the body the job is the client's: if it leaves, nothing is kept.
// From there on it is the peer's, and goes on whether or not anybody listens.
func (s *server) receive(w http.ResponseWriter, r *http.Request, name string,
	keep func(ctx context.Context, j *job, body io.Reader, tell func(blocks.Progress)) (kept, error),
) {
	if err := s.n.Room(r.Context(), max(r.ContentLength, 0)); err != nil { // it is said before a byte is sent, as far as it is known
		s.fail(w, r, err)
		return
	}
	j, err := s.jobs.begin(r.URL.Query().Get("job"), name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer j.end(nil, &ErrorLine{Type: LineError, Code: CodeInternal, Message: "a fault of this program; its log says more"}) // unless it has ended
	rc := http.NewResponseController(w)
	if err := rc.EnableFullDuplex(); err != nil {
		s.fail(w, r, fmt.Errorf("api: put: answer while reading: %w", err))
		return
	}
	if r.Header.Get("Expect") != "" { // must be said before the answer begins
		w.WriteHeader(http.StatusContinue)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Connection", "close") // what is left of an unread body must not pass for a request
	out := newLines(w, rc, s.cfg.Timing)
	defer out.close()
	out.write(JobLine{LineJob, j.ID})

	body := &body{r: r.Body, rc: rc, idle: s.cfg.Timing.PutIdle}
	defer body.finish()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	defer context.AfterFunc(r.Context(), func() {
		if !body.ended() {
			cancel(errLeft)
		}
	})()
	go s.untilStop(ctx, func(why error) {
		cancel(why)
		body.stop(why)
	})

	got, err := keep(ctx, j, j.counts(body), func(p blocks.Progress) {
		j.tell(p)
		out.tell(p)
	})
	if cut := body.failure(); cut != nil {
		err = cut // whatever became of it
	}
	if err == nil {
		j.end(&got.receipt, nil)
		out.last(got.summary)
		return
	}
	line := lineOf(because(ctx, err))
	var receipt *Receipt
	if line.Code == CodeShort {
		got.short(&line)
		receipt = &got.receipt
	}
	if line.Code == CodeInternal {
		s.cfg.Log.Error("put failed", "err", err, "request", w.Header().Get("X-Request-Id"))
	}
	j.end(receipt, &line)
	out.last(line)
}

// untilStop cancels ctx when this peer stops; it ends with ctx.
func (s *server) untilStop(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-s.cfg.Done:
		cancel(errStop)
	case <-ctx.Done():
	}
}

// body is the file that a client sends. It is read by one goroutine; the rest
// may be called by any.
type body struct {
	r    io.Reader
	rc   *http.ResponseController
	idle time.Duration

	mu      sync.Mutex
	err     error // of the last read; io.EOF: it was read to its end
	stopped error // why the reading was ended from outside
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.last(); err != nil {
		return 0, err
	}
	if err := b.wait(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF: //nolint:errorlint // io.Reader says EOF itself
		_ = b.rc.SetReadDeadline(time.Time{}) // else the connection's own watch would end by it
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("no byte of the file came for %s: %w", b.idle, err)
	default:
		err = &refusal{http.StatusBadRequest, CodeUsage, "the body was cut short, nothing was kept: " + err.Error(), ""}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped != nil && err != io.EOF { //nolint:errorlint // as above
		err = b.stopped
	}
	b.err = err
	return n, err
}

// wait gives the client its time for the next byte, unless the reading was stopped.
func (b *body) wait() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped != nil {
		return b.stopped
	}
	return b.rc.SetReadDeadline(time.Now().Add(b.idle))
}

// stop ends the reading, also one that waits for a client which says nothing.
func (b *body) stop(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.stopped = why
		_ = b.rc.SetReadDeadline(time.Unix(1, 0)) // a connection without deadlines has ended
	}
}

func (b *body) last() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *body) ended() bool { return b.last() == io.EOF }

// failure is why the body could not be read to its end; nil if it was, or if
// nobody tried.
func (b *body) failure() error {
	if err := b.last(); err != io.EOF {
		return err
	}
	return nil
}

// finish takes for a second what a client still sends, so that it can read why it was
// stopped: closing the connection on it now would take the answer away again.
func (b *body) finish() {
	if b.ended() || b.rc.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, b.r) // ends when the client leaves or the second is over
}
