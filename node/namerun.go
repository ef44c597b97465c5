package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/names"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/pubsub"
	"github.com/ipfs/boxo/ipns"
)

// newsOf brings the ledger's leases up to date, and tells who watches a name of its record.
func (n *Node) newsOf(l blocks.Ledger) func(context.Context, blocks.Record) error {
	leases := replica.LeaseNews(l)
	return func(ctx context.Context, r blocks.Record) error {
		if r.Kind == blocks.NameRecord {
			n.names.heard(r)
		}
		return leases(ctx, r)
	}
}

// heard wakes who watches the name of r here, and has others told. It never waits: records
// are the truth, and who is not told finds out later.
func (g *naming) heard(r blocks.Record) {
	name, _, _, err := names.Open(r.Value)
	if err != nil {
		return // it was judged before
	}
	g.fresh.Remove(name)
	g.mu.Lock()
	for wake, of := range g.waiting {
		if of.Equal(name) {
			select {
			case <-wake: // it has not seen to the last one yet
			default:
			}
			wake <- r.Value // has room: only here, under mu, is something put in
		}
	}
	g.mu.Unlock()
	select {
	case g.news <- r:
	default:
		g.log.Debug("a name's news are not passed on: too many", "name", name)
	}
}

// wait gives a channel that gets the value of the newest record of name that comes here, until
// stop: the value itself, which is told of before it is on the disk.
func (g *naming) wait(name ipns.Name) (wake <-chan []byte, stop func()) {
	ch := make(chan []byte, 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting[ch] = name
	return ch, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.waiting, ch)
	}
}

// nameNews says whether a record that gossip brought is worth passing on: good, and no
// older than what is known here. An error blames who brought it.
func (n *Node) nameNews(ctx context.Context, key, data []byte) (fresh bool, err error) {
	name, err := ipns.NameFromRoutingKey(key)
	if err != nil {
		return false, fmt.Errorf("node: names: %w", err)
	}
	if n.recs == nil {
		return false, nil
	}
	rec := names.Pack(name, data)
	seq, _, err := names.Valid(rec.Key, rec.Value)
	if err != nil {
		return false, err
	}
	known, ok, err := n.recs.Show(ctx, blocks.NameRecord, rec.Key)
	if err != nil || !ok {
		return err == nil, nil //nolint:nilerr // our disk is not their fault
	}
	was, err := readName(known)
	return err == nil && seq >= was.seq, nil
}

// gossip passes on what is new of names, until ctx is done: keepers are where those meet who
// have a name's record and those who wait for it.
func (n *Node) gossip(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-n.names.news:
			name, _, data, err := names.Open(r.Value)
			if err != nil {
				continue
			}
			if err := n.bus.Tell(ctx, name.RoutingKey(), data); err != nil && ctx.Err() == nil {
				n.names.log.Debug("a name's news are not passed on", "name", name, "err", err)
			}
		}
	}
}

// republish keeps the names of the keys here alive, until ctx is done: a new record when
// half of the old one's time is over, a new copy in the DHT before it forgets.
func (n *Node) republish(ctx context.Context) error {
	select {
	case <-n.router.Ready():
	case <-ctx.Done():
		return nil
	}
	tick := time.NewTicker(min(n.cfg.Timing().LeaseCheck/10, 10*time.Minute))
	defer tick.Stop()
	copied := map[string]time.Time{}
	for {
		for _, key := range n.names.keys.List() {
			was, ok := n.names.keys.issued(key.Key)
			switch now := time.Now(); {
			case !ok:
			case now.Sub(was.Signed) >= was.Lifetime/2:
				done, err := n.publishName(ctx, key.Key, was.Value, blocks.NameOptions{Lifetime: was.Lifetime, TTL: was.TTL})
				if err != nil && ctx.Err() == nil {
					n.names.log.Warn("a name is not published again", "key", key.Key, "err", err)
				}
				if done.DHT {
					copied[key.Key] = now
				}
			case now.Sub(copied[key.Key]) >= nameAgain:
				if n.copyName(ctx, key.Name) == nil {
					copied[key.Key] = now
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// copyName leaves what is known of a name in the DHT again.
func (n *Node) copyName(ctx context.Context, text string) error {
	name, err := ipns.NameFromString(text)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, nameDHT)
	defer cancel()
	found, err := n.lookName(ctx, name)
	if err != nil {
		return err
	}
	return n.router.PutValue(ctx, string(name.RoutingKey()), found.record)
}

// WatchName yields what the name of a key stands for, now if anybody knows, and again
// whenever that changed, until ctx is done. Gossip tells of changes at once; what it lost
// is found by asking the name's keepers now and then.
func (n *Node) WatchName(ctx context.Context, text string) iter.Seq2[blocks.Resolved, error] {
	return func(yield func(blocks.Resolved, error) bool) {
		if err := n.watchName(ctx, text, func(r blocks.Resolved) bool { return yield(r, nil) }); err != nil && ctx.Err() == nil {
			yield(blocks.Resolved{}, fmt.Errorf("watch: %w", err))
		}
	}
}

func (n *Node) watchName(ctx context.Context, text string, tell func(blocks.Resolved) bool) error {
	if n.recs == nil {
		return errNoRecords
	}
	if key, err := n.names.keys.get(text); err == nil && text != "" {
		text = nameOf(key).String()
	}
	name, err := ipns.NameFromString(text)
	if err != nil {
		return &blocks.PathError{Path: text, Reason: "no name of a key: want k51..."}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wake, stop := n.names.wait(name)
	defer stop()
	ended := make(chan struct{})
	defer func() { <-ended }()
	defer cancel()
	heard, err := n.bus.Follow(ctx, name.RoutingKey())
	if errors.Is(err, pubsub.ErrCrowded) {
		n.names.log.Info("a name is looked at now and then only", "name", name, "err", err)
		heard, err = func(func([]byte) bool) {}, nil
	}
	if err != nil {
		close(ended)
		return err
	}
	go func() { // ends with ctx
		defer close(ended)
		for data := range heard {
			if _, err := n.recs.Adopt(ctx, names.Pack(name, data)); err != nil && ctx.Err() == nil {
				n.names.log.Debug("what was heard of a name is not kept", "name", name, "err", err)
			}
		}
	}()
	looked := make(chan lookedUp)
	var looking sync.WaitGroup
	defer looking.Wait()
	defer cancel()
	looking.Go(func() { n.lookNow(ctx, name, looked) }) // ends with ctx: a look takes seconds, and news do not wait for it
	var last foundName
	for {
		var found foundName
		var err error
		select {
		case <-ctx.Done():
			return nil
		case value := <-wake:
			found, err = readName(value)
		case l := <-looked:
			found, err = l.found, l.err
		}
		if err == nil && (found.seq > last.seq || last.record == nil && found.record != nil) {
			changed := last.value == nil || last.value.String() != found.value.String()
			last = found
			if changed && !tell(found.resolved()) {
				return nil
			}
		}
	}
}

// lookedUp is what a look at a name's keepers has shown.
type lookedUp struct {
	found foundName
	err   error
}

// lookNow asks the keepers of a name now, and again and again, until ctx is done.
func (n *Node) lookNow(ctx context.Context, name ipns.Name, looked chan<- lookedUp) {
	tick := time.NewTicker(min(n.cfg.Timing().Records/2, time.Minute))
	defer tick.Stop()
	for {
		found, err := n.lookName(ctx, name)
		select {
		case looked <- lookedUp{found, err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
