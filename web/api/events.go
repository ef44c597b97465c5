package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// The types of the lines of the events, beside [UpdateLine].
const (
	LineID    = "id"    // first, and whenever it changed
	LinePeers = "peers" // second: all that are connected
	LinePeer  = "peer"  // one came, changed or went
	LineJobs  = "jobs"  // third: what is put, or was lately; then those that changed
)

// idEvery is how many looks at the peers go by between two at the peer itself,
// which cost more.
const idEvery = 5

// IDLine is the peer that is asked.
type IDLine struct {
	Type string `json:"type"`
	ID
	Key string `json:"key"` // its place on the ring of keys, in hexadecimal
}

// PeersLine is every connected peer.
type PeersLine struct {
	Type  string     `json:"type"`
	Peers []PeerLine `json:"peers"`
}

// JobsLine is puts: first all, then those that changed since.
type JobsLine struct {
	Type string `json:"type"`
	Jobs []Job  `json:"jobs"`
}

// PeerLine is a peer that came, changed or went.
type PeerLine struct {
	Type string `json:"type,omitempty"`
	Peer
	Key string    `json:"key"` // its place on the ring of keys, in hexadecimal
	Up  bool      `json:"up"`
	At  time.Time `json:"at"` // when that was seen
}

// events streams all that a page shows live, until the client leaves: how the
// peer is doing, who came and went, what is put, and announcements. It has the two
// forms of a [stream]. Who is connected is looked at once a Timing.Poll, what is put
// four times.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	st, ctx, end := s.newStream(w, r)
	var others sync.WaitGroup
	defer end()
	defer others.Wait()
	defer st.left()           // first: it ends the others
	heard := s.n.Updates(ctx) // listens from here on
	l := look{n: s.n, jobs: &s.jobs, say: func(name string, v any) { st.say(name, "", v) }}
	l.first()
	others.Go(func() { st.announce(ctx, heard) }) // ends with ctx
	poll, beat := time.NewTicker(s.cfg.Timing.Poll), time.NewTicker(s.cfg.Timing.Heartbeat)
	puts := time.NewTicker(s.cfg.Timing.Poll / 4) // a bar that moves once a second seems to stand
	defer puts.Stop()
	defer poll.Stop()
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-puts.C:
			l.puts()
		case <-poll.C:
			l.again()
		case <-beat.C:
			st.beat()
		}
	}
}

// look compares what is with what was told.
type look struct {
	n     Node
	say   func(name string, v any)
	id    ID
	peers map[string]Peer
	turn  int
	jobs  *jobs
	seq   int // of the last change of jobs that was told
}

func (l *look) first() {
	l.id, l.peers = l.n.ID(), map[string]Peer{}
	l.id.Addresses = list(l.id.Addresses)
	l.say(LineID, IDLine{LineID, l.id, keyOf(l.id.ID)})
	all, at := []PeerLine{}, time.Now().UTC()
	for _, p := range l.n.Peers() {
		l.peers[p.ID] = p
		all = append(all, peerLine("", p, true, at))
	}
	l.say(LinePeers, PeersLine{LinePeers, all})
	var puts []Job
	puts, l.seq = l.jobs.since(0)
	l.say(LineJobs, JobsLine{LineJobs, puts})
}

// puts tells of the jobs that changed.
func (l *look) puts() {
	var changed []Job
	if changed, l.seq = l.jobs.since(l.seq); len(changed) > 0 {
		l.say(LineJobs, JobsLine{LineJobs, changed})
	}
}

func (l *look) again() {
	now, at, changed := map[string]Peer{}, time.Now().UTC(), false
	for _, p := range l.n.Peers() {
		now[p.ID] = p
		if was, ok := l.peers[p.ID]; !ok || !alike(was, p) {
			l.say(LinePeer, peerLine(LinePeer, p, true, at))
			changed = changed || !ok
		}
	}
	for id, p := range l.peers {
		if _, ok := now[id]; !ok {
			l.say(LinePeer, peerLine(LinePeer, p, false, at))
			changed = true
		}
	}
	l.peers = now
	if l.turn++; !changed && l.turn%idEvery != 0 {
		return
	}
	id := l.n.ID()
	id.Addresses = list(id.Addresses)
	if !reflect.DeepEqual(id, l.id) {
		l.id = id
		l.say(LineID, IDLine{LineID, id, keyOf(id.ID)})
	}
}

func peerLine(kind string, p Peer, up bool, at time.Time) PeerLine {
	p.Addresses = list(p.Addresses)
	return PeerLine{kind, p, keyOf(p.ID), up, at}
}

// alike leaves the latency out, which changes all the time.
func alike(a, b Peer) bool {
	return a.Member == b.Member && a.Suspect == b.Suspect && a.Agent == b.Agent && slices.Equal(a.Addresses, b.Addresses)
}

// keyOf is where a peer stands on the ring of keys; "" for what is no peer id.
func keyOf(id string) string {
	p, err := peer.Decode(id)
	if err != nil {
		return ""
	}
	return keyText([]byte(p))
}

// keyText is the key of a peer or of a block's hash.
func keyText(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
