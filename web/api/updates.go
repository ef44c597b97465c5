package api

import (
	"net/http"
	"sync"
	"time"
)

// UpdateLine is an [Update] in the NDJSON form of the stream.
type UpdateLine struct {
	Type string `json:"type"` // update
	Update
}

// updates streams announcements until the client leaves.
func (s *server) updates(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	st, ctx, end := s.newStream(w, r)
	var heartbeat sync.WaitGroup
	defer end()
	defer heartbeat.Wait()
	defer st.left()       // first: it ends the heartbeat
	st.beat()             // the header goes out at once
	heartbeat.Go(func() { // ends with ctx
		tick := time.NewTicker(s.cfg.Timing.Heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				st.beat()
			}
		}
	})
	st.announce(ctx, s.n.Updates(ctx))
}
