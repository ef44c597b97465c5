package api

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// Names is what the API needs of a peer's keys and of names.
type Names interface {
	// Keys gives what names are published with, the peer's own first.
	Keys() []blocks.KeyInfo
	// MakeKey makes one. A *blocks.KeyError says what is wrong with its name.
	MakeKey(name string) (blocks.KeyInfo, error)
	// TakeKey takes one, in PEM of PKCS #8 or as libp2p writes it.
	TakeKey(name string, data []byte) (blocks.KeyInfo, error)
	// GiveKey gives one as PEM of PKCS #8; blocks.ErrNoKey: there is none.
	GiveKey(name string) ([]byte, error)
	// RemoveKey forgets one for good.
	RemoveKey(name string) (blocks.KeyInfo, error)
	// PublishName makes the name of key, "" being the peer's own, stand for path.
	PublishName(ctx context.Context, key, path string, o blocks.NameOptions) (blocks.Published, error)
	// ResolveName says what a name stands for; recursive follows until it is no name.
	ResolveName(ctx context.Context, name string, recursive bool) (blocks.Resolved, error)
	// WatchName yields what a name stands for whenever that changed, until ctx is done.
	WatchName(ctx context.Context, name string) iter.Seq2[blocks.Resolved, error]
	// ImportName takes a record that somebody else has signed; a *blocks.RecordError says why not.
	ImportName(ctx context.Context, name string, record []byte) (blocks.Published, error)
}

// maxUpload is the limit of a key or a record that is sent here, in bytes.
const maxUpload = 16 << 10

// LineName is the type of a [NameLine].
const LineName = "name"

// NameLine is what a name stands for, in the NDJSON form of the stream.
type NameLine struct {
	Type string `json:"type"` // name
	blocks.Resolved
}

func (s *server) nameRoutes() []route {
	return []route{
		{"GET", "/api/v1/keys", s.keys},
		{"POST", "/api/v1/keys", s.makeKey},
		{"DELETE", "/api/v1/keys", s.removeKey},
		{"POST", "/api/v1/keys/import", s.takeKey},
		{"GET", "/api/v1/keys/export", s.giveKey},
		{"POST", "/api/v1/names", s.publish},
		{"GET", "/api/v1/names/resolve", s.resolve},
		{"GET", "/api/v1/names/watch", s.watchName},
		{"POST", "/api/v1/names/import", s.importName},
	}
}

// named is a parameter that must be there.
func (p *params) named(what string) string {
	v := p.label(what)
	if v == "" {
		p.bad(what, "missing")
	}
	return v
}

// answer replies with what do gives, unless err, of the query, is set.
func (s *server) answer(w http.ResponseWriter, r *http.Request, err error, do func(context.Context) (any, error)) {
	if err != nil {
		s.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timing.Ask)
	defer cancel()
	v, err := do(ctx)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, v)
}

// upload reads the small body of r.
func (s *server) upload(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.Timing.GetIdle)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return nil, &refusal{http.StatusRequestEntityTooLarge, CodeUsage, "what was sent is too large", "at most 16 KiB"}
	}
	return data, err
}

func (s *server) keys(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, query(r).err, func(context.Context) (any, error) { return s.n.Keys(), nil })
}

func (s *server) makeKey(w http.ResponseWriter, r *http.Request) {
	p := query(r, "key", "type")
	key := p.named("key")
	if t := p.q.Get("type"); t != "" && t != "ed25519" {
		p.bad("type", "want ed25519")
	}
	s.answer(w, r, p.err, func(context.Context) (any, error) { return s.n.MakeKey(key) })
}

func (s *server) removeKey(w http.ResponseWriter, r *http.Request) {
	p := query(r, "key")
	key := p.named("key")
	s.answer(w, r, p.err, func(context.Context) (any, error) { return s.n.RemoveKey(key) })
}

func (s *server) takeKey(w http.ResponseWriter, r *http.Request) {
	p := query(r, "key")
	key := p.named("key")
	s.answer(w, r, p.err, func(context.Context) (any, error) {
		data, err := s.upload(w, r)
		if err != nil {
			return nil, err
		}
		return s.n.TakeKey(key, data)
	})
}

// giveKey answers with a secret: nobody may keep it on the way.
func (s *server) giveKey(w http.ResponseWriter, r *http.Request) {
	p := query(r, "key")
	key := p.named("key")
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	pem, err := s.n.GiveKey(key)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Cache-Control", "no-store")
	if _, err := w.Write(pem); err != nil {
		s.cfg.Log.Debug("client left", "err", err)
	}
}

func (s *server) publish(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path", "key", "lifetime", "ttl")
	path, key := p.path(), p.label("key")
	o := blocks.NameOptions{Lifetime: p.duration("lifetime", blocks.MinLeaseTime, blocks.MaxLeaseTime), TTL: p.duration("ttl", 0, blocks.MaxLeaseTime)}
	if o.Lifetime != 0 && o.Lifetime < time.Minute {
		p.bad("lifetime", "want at least 1m")
	}
	s.answer(w, r, p.err, func(ctx context.Context) (any, error) { return s.n.PublishName(ctx, key, path, o) })
}

func (s *server) resolve(w http.ResponseWriter, r *http.Request) {
	p := query(r, "name", "recursive")
	name, recursive := p.named("name"), p.flag("recursive", true)
	s.answer(w, r, p.err, func(ctx context.Context) (any, error) { return s.n.ResolveName(ctx, name, recursive) })
}

func (s *server) importName(w http.ResponseWriter, r *http.Request) {
	p := query(r, "name")
	name := p.named("name")
	s.answer(w, r, p.err, func(ctx context.Context) (any, error) {
		data, err := s.upload(w, r)
		if err != nil {
			return nil, err
		}
		return s.n.ImportName(ctx, name, data)
	})
}

// watchName streams what a name stands for until the client leaves.
func (s *server) watchName(w http.ResponseWriter, r *http.Request) {
	p := query(r, "name")
	name := p.named("name")
	if p.err != nil {
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
	for now, err := range s.n.WatchName(ctx, name) {
		if err != nil {
			if ctx.Err() == nil {
				st.say("error", "", lineOf(err))
			}
			return
		}
		st.say(LineName, "", NameLine{LineName, now})
	}
}
