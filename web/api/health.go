package api

import (
	"context"
	"net/http"
	"reflect"
	"sync"
	"time"
)

// health answers how well everything under a path is kept.
func (s *server) health(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path", "detail")
	name, detail := p.path(), p.flag("detail", false)
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, cancel := s.patient(r.Context())
	defer cancel()
	h, err := s.n.Health(ctx, name, detail)
	if err != nil {
		s.fail(w, r, because(ctx, err))
		return
	}
	s.reply(w, http.StatusOK, NewHealth(h))
}

// LineHealth is the type of the lines for those who watch a health.
const LineHealth = "health"

// HealthLine is a health that is not as the last one was.
type HealthLine struct {
	Type string `json:"type"` // health
	Health
}

// watch streams the health of everything under a path, first as it is and then whenever it
// changed, until the client leaves. It has the two forms of a [stream]. A look that fails is
// told as an error, and the next one is taken all the same.
func (s *server) watch(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path", "detail")
	name, detail := p.path(), p.flag("detail", false)
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	st, ctx, end := s.newStream(w, r)
	var beats sync.WaitGroup
	defer end()
	defer beats.Wait()
	defer st.left() // first: it ends the beats
	beats.Go(func() {
		beat := time.NewTicker(s.cfg.Timing.Heartbeat)
		defer beat.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
				st.beat()
			}
		}
	})
	var last any
	say := func(event string, v, what any) {
		if !reflect.DeepEqual(what, last) {
			last = what
			st.say(event, "", v)
		}
	}
	for {
		s.lookAt(ctx, name, detail, say)
		select {
		case <-ctx.Done():
			return
		case <-s.cfg.Done:
			return
		case <-time.After(s.cfg.Timing.Look):
		}
	}
}

// lookAt tells of the health of name; what tells one health from another.
func (s *server) lookAt(ctx context.Context, name string, detail bool, say func(event string, v, what any)) {
	ctx, cancel := s.patient(ctx)
	defer cancel()
	h, err := s.n.Health(ctx, name, detail)
	switch {
	case err != nil && ctx.Err() != nil && context.Cause(ctx) == context.Canceled: //nolint:errorlint // the client has left
	case err != nil:
		line := lineOf(because(ctx, err))
		say(LineError, line, line)
	default:
		same := h
		same.Proved = time.Time{}
		say(LineHealth, HealthLine{LineHealth, NewHealth(h)}, same)
	}
}
