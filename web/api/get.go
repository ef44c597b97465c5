package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// get answers with the file that a path names, or with a range of it. What fails
// before the first byte is a problem; what fails after it breaks the connection.
func (s *server) get(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path")
	name := p.path()
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, moved, end := s.untilIdle(r)
	defer end()

	f, err := s.n.Open(ctx, name)
	if err != nil {
		s.fail(w, r, because(ctx, err))
		return
	}
	defer f.Close()
	h, id := w.Header(), f.CID().String()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", attachment(name, id))
	h.Set("Etag", `"`+id+`"`)
	h.Set("X-Cid", id)
	h.Set("Cache-Control", "private, no-cache")

	if first, _, many := strings.Cut(r.Header.Get("Range"), ","); many { // one range a request
		r = r.Clone(r.Context())
		r.Header.Set("Range", first)
	}
	src := &source{f: f}
	dst := &sink{ResponseWriter: w, rc: http.NewResponseController(w), idle: s.cfg.Timing.GetIdle, moved: moved}
	defer func() { _ = dst.rc.SetWriteDeadline(time.Time{}) }()
	http.ServeContent(dst, r, "", time.Time{}, src)
	switch {
	case src.err != nil && dst.begun:
		s.cfg.Log.Debug("download broken off", "cid", id, "err", because(ctx, src.err))
		_ = dst.rc.Flush() // so that the client sees an answer that breaks off, not none
		panic(http.ErrAbortHandler)
	case src.err != nil:
		for _, k := range []string{"Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "Etag", "X-Cid"} {
			h.Del(k)
		}
		s.fail(w, r, because(ctx, src.err))
	case dst.status >= 400:
		s.fail(w, r, &refusal{dst.status, CodeUsage, fmt.Sprintf("the file has %d bytes; the range or the condition asked for does not hold", f.Size()), ""})
	default:
		dst.begin()
	}
}

// because puts the reason why ctx was cancelled in the place of the bare fact.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// attachment names the download after the end of its path.
func attachment(name, id string) string {
	base, _, _ := strings.Cut(path.Base(name), "?")
	if v := mime.FormatMediaType("attachment", map[string]string{"filename": base}); v != "" && base != "/" {
		return v
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": id})
}

// source reads a file for http.ServeContent and keeps the error that it hides.
// It seeks only when it must read there: a seek may ask the network for blocks.
type source struct {
	f   File
	at  int64 // where the reader believes to be
	pos int64 // where f is
	err error
}

func (s *source) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.f.Size()
	}
	s.at = offset
	return offset, nil
}

func (s *source) Read(p []byte) (n int, err error) {
	if s.at >= s.f.Size() {
		return 0, io.EOF
	}
	if s.at != s.pos {
		if s.pos, err = s.f.Seek(s.at, io.SeekStart); err != nil {
			s.err = err
			return 0, err
		}
	}
	n, err = s.f.Read(p)
	s.at += int64(n)
	s.pos = s.at
	if err == io.EOF && s.at < s.f.Size() { //nolint:errorlint // io.Reader says EOF itself
		err = fmt.Errorf("api: get: the file ends before its size: %w", io.ErrUnexpectedEOF)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // as above
		s.err = err
	}
	return n, err
}

// send writes the next n bytes to w, in pieces as large as the file has them: each is a
// block, where io.Copy would cut it into 32 KiB.
func (s *source) send(w io.Writer, n int64) (sent int64, err error) {
	from, ok := s.f.(io.WriterTo)
	if !ok || n <= 0 || s.at >= s.f.Size() {
		return io.CopyBuffer(plainWriter{w}, io.LimitReader(s, n), make([]byte, sendAtOnce))
	}
	if s.at != s.pos {
		if s.pos, err = s.f.Seek(s.at, io.SeekStart); err != nil {
			s.err = err
			return 0, err
		}
	}
	to := &quota{w: w, left: n}
	_, err = from.WriteTo(to)
	sent = n - to.left
	s.at += sent
	s.pos = s.at
	switch {
	case to.err != nil: // of the writer, which is not hidden
		return sent, to.err
	case to.left == 0:
		return sent, nil
	case err == nil:
		err = fmt.Errorf("api: get: the file ends before its size: %w", io.ErrUnexpectedEOF)
	}
	s.err = err
	return sent, err
}

// quota passes on the first left bytes, and wants no more then.
type quota struct {
	w    io.Writer
	left int64
	err  error // of w
}

// errEnough ends a copy that has all it was to have.
var errEnough = errors.New("api: get: enough")

func (q *quota) Write(p []byte) (n int, err error) {
	some := p[:min(int64(len(p)), q.left)]
	if len(some) > 0 {
		n, q.err = q.w.Write(some)
		q.left -= int64(n)
	}
	switch {
	case q.err != nil:
		return n, q.err
	case n < len(p) || q.left == 0:
		return n, errEnough
	}
	return n, nil
}

// plainWriter is a writer and nothing else.
type plainWriter struct{ io.Writer }

// sink holds the header back until the first byte is there, so that an error
// before it can still be answered as one, and gives a client that does not read
// a limited time.
type sink struct {
	http.ResponseWriter
	rc     *http.ResponseController
	idle   time.Duration
	moved  func() // bytes went out
	status int
	begun  bool
}

func (s *sink) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
}

// begin sends the header.
func (s *sink) begin() {
	if !s.begun {
		s.begun = true
		s.ResponseWriter.WriteHeader(max(s.status, http.StatusOK))
	}
}

func (s *sink) Write(p []byte) (n int, err error) {
	if s.status >= 400 {
		return len(p), nil // get says it as a problem
	}
	s.begin()
	for {
		some := p[:min(len(p), sendAtOnce)]
		if err := s.rc.SetWriteDeadline(time.Now().Add(s.idle)); err != nil {
			return n, err
		}
		k, err := s.ResponseWriter.Write(some)
		s.moved()
		n += k
		if p = p[len(some):]; err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// sendAtOnce is how many bytes a client must take in the idle time.
const sendAtOnce = 256 << 10

// ReadFrom is what http.ServeContent copies a file with: a [source], of which it wants so
// many bytes.
func (s *sink) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if src, ok := l.R.(*source); ok && s.status < 400 {
			n, err := src.send(plainWriter{s}, l.N)
			l.N -= n
			return n, err
		}
	}
	return io.CopyBuffer(plainWriter{s}, r, make([]byte, sendAtOnce))
}
