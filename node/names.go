package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/names"
	"github.com/cairn-network/cairn/blocks/replica"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/namesys"
	"github.com/ipfs/boxo/path"
)

// A name is a key's hash, and its record, signed by the key, says what it stands for:
//
//	publish: resolve → the next number → sign → its keepers, the DHT, gossip
//	resolve: what is known here, its keepers, the DHT → the highest number → known here from now on
//
// Keepers are the R members closest to the record's key, as of every record; the DHT has a
// copy for strangers, and gossip is the hurry. Who has resolved a name keeps its record as
// long as it is good, and so never goes back behind it.

const (
	nameTTL    = 5 * time.Minute  // of a record, as others have it
	nameFresh  = 5 * time.Second  // for which the gateway does without asking anew
	nameMemory = 1024             // names of which that is remembered
	nameLate   = time.Second      // for the DHT, once the keepers have answered
	nameDHT    = 10 * time.Second // for the DHT, at most
	nameHops   = 8                // names that may lead to each other
	nameAgain  = 12 * time.Hour   // between two copies in the DHT, which forgets them after 48 h
)

// naming is what a peer has to do with names.
type naming struct {
	keys   *Keys
	system namesys.NameSystem // keys' names and DNSLink
	log    *slog.Logger
	turn   chan struct{} // holds one: who publishes
	fresh  *lru.Cache[ipns.Name, freshName]
	news   chan blocks.Record // 256-buffered: records that others may wait for

	mu      sync.Mutex
	waiting map[chan []byte]ipns.Name // guarded by mu: who watches a name here; 1-buffered
}

// freshName is what was found out just now.
type freshName struct {
	found foundName
	at    time.Time
}

// foundName is a name's record, and how it was found.
type foundName struct {
	name    ipns.Name
	record  []byte // in protobuf
	value   path.Path
	seq     uint64
	expires time.Time
	ttl     time.Duration
	asked   int // keepers that answered
	rivals  []string
}

func (n *Node) newNaming(keys *Keys, log *slog.Logger) (*naming, error) {
	for pair := range strings.SplitSeq(os.Getenv("IPFS_NS_MAP"), ",") { // which namesys reads, and trusts
		if pair != "" && !strings.Contains(pair, ":") {
			return nil, &ConfigError{File: "IPFS_NS_MAP", Reason: fmt.Sprintf("%q: want NAME:/ipfs/CID", pair)}
		}
	}
	fresh, err := lru.New[ipns.Name, freshName](nameMemory)
	if err != nil {
		return nil, fmt.Errorf("node: names: %w", err)
	}
	g := &naming{keys: keys, log: log, turn: make(chan struct{}, 1), fresh: fresh,
		news: make(chan blocks.Record, 256), waiting: map[chan []byte]ipns.Name{}}
	if g.system, err = namesys.NewNameSystem(nameValues{n}); err != nil {
		return nil, &ConfigError{File: "IPFS_NS_MAP", Reason: err.Error()}
	}
	return g, nil
}

// Keys are what this peer publishes names with.
func (n *Node) Keys() *Keys { return n.names.keys }

// NameSystem resolves names: keys' by their records, domains' by DNSLink. What it says may
// be a few seconds old. Its Publish is [Node.PublishName] without the answer.
func (n *Node) NameSystem() namesys.NameSystem { return n.names.system }

// errNoRecords says that this peer was made without a place for records.
var errNoRecords = errors.New("node: this peer keeps no records")

// PublishName makes the name of key, "" being the peer's own, stand for path. The number is
// one above the highest that is known, here or in the network. That nobody else could be
// reached is no error: Published.Peers is 0, and the record goes out when somebody can be.
func (n *Node) PublishName(ctx context.Context, key, path string, o blocks.NameOptions) (blocks.Published, error) {
	done, err := n.publishName(ctx, key, path, o)
	if err != nil {
		return done, fmt.Errorf("publish: %w", err)
	}
	return done, nil
}

func (n *Node) publishName(ctx context.Context, key, text string, o blocks.NameOptions) (done blocks.Published, err error) {
	if n.recs == nil {
		return done, errNoRecords
	}
	if o.Lifetime < 0 || o.Lifetime > blocks.MaxLeaseTime || o.Lifetime != 0 && o.Lifetime < time.Minute {
		return done, &blocks.KeyError{Key: cmp.Or(key, blocks.SelfKey), Reason: fmt.Sprintf("a lifetime of %s: want 1m to %s", o.Lifetime, Duration(blocks.MaxLeaseTime))}
	}
	o.Lifetime = cmp.Or(o.Lifetime, min(time.Duration(n.cfg.Replica.Expires), blocks.MaxLeaseTime))
	o.TTL = cmp.Or(o.TTL, nameTTL)
	sk, err := n.names.keys.get(key)
	if err != nil {
		return done, err
	}
	value, err := namePath(text)
	if err != nil {
		return done, err
	}
	select {
	case n.names.turn <- struct{}{}:
		defer func() { <-n.names.turn }()
	case <-ctx.Done():
		return done, ctx.Err()
	}
	name := nameOf(sk)
	was, _ := n.names.keys.issued(key)
	done = blocks.Published{Name: name.String(), Key: cmp.Or(key, blocks.SelfKey), Value: value.String()}
	var rec blocks.Record
	var data []byte
	for range signings {
		found, err := n.lookName(ctx, name)
		if err != nil && ctx.Err() != nil {
			return done, err // what is known here must do when nobody answers
		}
		done.Was = max(found.seq, was.Seq)
		if done.Was == math.MaxUint64 {
			return done, &blocks.KeyError{Key: done.Key, Reason: "its name has had its last record: no number is higher"}
		}
		done.Seq = done.Was + 1
		now := time.Now()
		done.Expires = now.Add(o.Lifetime).UTC()
		signed, err := ipns.NewRecord(sk, value, done.Seq, done.Expires, o.TTL, ipns.WithV1Compatibility(true))
		if err == nil {
			data, err = ipns.MarshalRecord(signed)
		}
		if err != nil {
			return done, err
		}
		rec = names.Pack(name, data)
		if err := n.names.keys.note(key, issue{value.String(), done.Seq, o.Lifetime, o.TTL, now}); err != nil {
			return done, err
		}
		err = n.keepName(ctx, rec, &done)
		if err == nil {
			break
		}
		if !errors.Is(err, replica.ErrOlder) {
			return done, err
		}
		was.Seq = done.Seq
	}
	n.spreadName(ctx, name, data, &done)
	return done, nil
}

// keepName brings rec to its keepers, and says in done how far that got.
func (n *Node) keepName(ctx context.Context, rec blocks.Record, done *blocks.Published) error {
	w, _, err := n.recs.Put(ctx, rec)
	done.Peers, done.Of, done.Error = w.Others, w.Of, ""
	if errors.Is(err, replica.ErrUnkept) && ctx.Err() == nil {
		n.log.Info("nobody else keeps the record of a name yet", "name", done.Name, "err", err)
		done.Error, err = "no other peer was reached", nil
	}
	return err
}

// spreadName leaves a copy in the DHT and tells who listens.
func (n *Node) spreadName(ctx context.Context, name ipns.Name, data []byte, done *blocks.Published) {
	n.names.fresh.Remove(name)
	dctx, cancel := context.WithTimeout(ctx, nameDHT)
	defer cancel()
	if err := n.router.PutValue(dctx, string(name.RoutingKey()), data); err != nil {
		n.names.log.Debug("no copy of a name's record in the DHT", "name", name, "err", err)
		return
	}
	done.DHT = true
}

// namePath is what a name may stand for: a path, or a CID, as people write them.
func namePath(text string) (path.Path, error) {
	prefix, root, segments, err := rootOf(text)
	if err != nil {
		return nil, err
	}
	p, err := path.NewPathFromSegments(append([]string{prefix, root}, segments...)...)
	if err != nil {
		return nil, &blocks.PathError{Path: text, Reason: err.Error()}
	}
	return p, nil
}

// lookName asks the keepers of a name and the DHT for its record, and keeps what wins.
// blocks.IsNotFound holds for the error when nobody has one.
func (n *Node) lookName(ctx context.Context, name ipns.Name) (found foundName, err error) {
	if n.recs == nil {
		return found, errNoRecords
	}
	key := names.Key(name)
	type answer struct {
		value []byte
		err   error
	}
	strangers := make(chan answer, 1)
	dctx, cancel := context.WithTimeout(ctx, nameDHT)
	defer cancel()
	go func() { // ends with dctx
		value, err := n.router.Value(dctx, string(name.RoutingKey()))
		strangers <- answer{value, err}
	}()
	seen, err := n.recs.Look(ctx, blocks.NameRecord, key)
	wait := time.Duration(nameDHT)
	if err == nil && seen.Asked >= 3 {
		wait = nameLate
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case a := <-strangers:
		if a.err == nil {
			rec := names.Pack(name, a.value)
			seen, err = n.better(ctx, rec, seen, err)
		}
	case <-late.C:
	case <-ctx.Done():
	}
	if err != nil {
		if ctx.Err() != nil {
			return found, ctx.Err()
		}
		return found, &blocks.NoRecordError{Name: name.String(), Key: key, Asked: seen.Asked}
	}
	kept, err := n.recs.Adopt(ctx, blocks.Record{Kind: blocks.NameRecord, Key: key, Value: seen.Value})
	if err != nil {
		return found, err
	}
	if found, err = readName(kept); err != nil {
		return found, err
	}
	found.asked = seen.Asked
	for _, v := range seen.Rivals {
		rival, err := readName(v)
		if err == nil && rival.seq == found.seq && rival.value.String() != found.value.String() && !slices.Contains(found.rivals, rival.value.String()) {
			found.rivals = append(found.rivals, rival.value.String())
		}
	}
	n.names.fresh.Add(name, freshName{found, time.Now()})
	return found, nil
}

// better weighs what the DHT had against what the keepers have, and brings it to them when
// it wins.
func (n *Node) better(ctx context.Context, rec blocks.Record, seen replica.Seen, was error) (replica.Seen, error) {
	if was == nil && bytes.Equal(rec.Value, seen.Value) {
		return seen, nil
	}
	if _, _, err := names.Valid(rec.Key, rec.Value); err != nil {
		return seen, was // what is not good is as good as nothing
	}
	switch _, newer, err := n.recs.Put(ctx, rec); {
	case errors.Is(err, replica.ErrOlder):
		if was == nil {
			seen.Rivals = append(seen.Rivals, rec.Value)
		} else {
			seen.Value = newer
		}
		return seen, nil
	case err != nil && !errors.Is(err, replica.ErrUnkept):
		return seen, was
	}
	if was == nil {
		seen.Rivals = append(seen.Rivals, seen.Value)
	}
	seen.Value = rec.Value
	return seen, nil
}

// readName reads what was found to be good.
func readName(value []byte) (f foundName, err error) {
	name, rec, data, err := names.Open(value)
	if err != nil {
		return f, err
	}
	f.name, f.record = name, data
	if f.value, err = rec.Value(); err != nil {
		return f, fmt.Errorf("node: names: %w", err)
	}
	if f.seq, err = rec.Sequence(); err != nil {
		return f, fmt.Errorf("node: names: %w", err)
	}
	if f.expires, err = rec.Validity(); err != nil {
		return f, fmt.Errorf("node: names: %w", err)
	}
	if f.ttl, err = rec.TTL(); err != nil || f.ttl < 0 {
		f.ttl = 0
	}
	return f, nil
}

// resolved is f in the words of others.
func (f foundName) resolved() blocks.Resolved {
	return blocks.Resolved{
		Name: f.name.String(), Path: f.value.String(), Seq: f.seq, Expires: f.expires,
		TTL: blocks.Seconds(f.ttl), Asked: f.asked, Conflict: f.rivals,
	}
}

// ResolveName says what name stands for: the text of a key, with or without /ipns/, the
// name of a key that is here, or a domain name with a DNSLink. recursive follows until
// something that is no name; else one step is made. blocks.IsNotFound holds for the error
// when nobody knows a record.
func (n *Node) ResolveName(ctx context.Context, name string, recursive bool) (blocks.Resolved, error) {
	name = strings.TrimSuffix(strings.TrimPrefix(name, ipns.NamespacePrefix), "/")
	out, err := n.resolveName(ctx, name)
	for hops := 1; err == nil && recursive && strings.HasPrefix(out.Path, ipns.NamespacePrefix); hops++ {
		if hops == nameHops {
			return out, &blocks.PathError{Path: name, Reason: fmt.Sprintf("more than %d names lead to each other", nameHops)}
		}
		next, rest, _ := strings.Cut(strings.TrimPrefix(out.Path, ipns.NamespacePrefix), "/")
		step, stepErr := n.resolveName(ctx, next)
		if err = stepErr; err != nil {
			break
		}
		if rest != "" {
			step.Path = strings.TrimSuffix(step.Path, "/") + "/" + rest
		}
		out.Path, out.TTL = step.Path, min(out.TTL, step.TTL)
	}
	if err != nil {
		return out, fmt.Errorf("resolve: %w", err)
	}
	return out, nil
}

func (n *Node) resolveName(ctx context.Context, text string) (blocks.Resolved, error) {
	if key, err := n.names.keys.get(text); err == nil && text != "" {
		text = nameOf(key).String()
	}
	if name, err := ipns.NameFromString(text); err == nil {
		found, err := n.lookName(ctx, name)
		if err != nil {
			return blocks.Resolved{Name: text}, err
		}
		return found.resolved(), nil
	}
	p, err := path.NewPath(ipns.NamespacePrefix + text)
	if err != nil {
		return blocks.Resolved{}, &blocks.PathError{Path: text, Reason: "no name: want k51... or a domain name"}
	}
	res, err := n.names.system.Resolve(ctx, p, namesys.ResolveWithDepth(1))
	if err != nil && !errors.Is(err, namesys.ErrResolveRecursion) {
		return blocks.Resolved{Name: text}, unnamed(ctx, text, err)
	}
	return blocks.Resolved{Name: text, Path: res.Path.String(), TTL: blocks.Seconds(res.TTL)}, nil
}

// unnamed says of a name that namesys could not follow that there is nothing to follow.
func unnamed(ctx context.Context, text string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, namesys.ErrResolveRecursion):
		return &blocks.PathError{Path: text, Reason: fmt.Sprintf("more than %d names lead to each other", nameHops)}
	case blocks.IsNotFound(err):
		return err
	case errors.Is(err, namesys.ErrResolveFailed), errors.Is(err, namesys.ErrMissingDNSLinkRecord):
		return &blocks.NoRecordError{Name: text, Key: names.Key(ipns.Name{})}
	}
	return err
}

// ImportName takes a record of name that somebody else has signed, keeps and spreads it. A
// *blocks.RecordError says that it is not good, or that a later one is known.
func (n *Node) ImportName(ctx context.Context, name string, record []byte) (done blocks.Published, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("import: %w", err)
		}
	}()
	if n.recs == nil {
		return done, errNoRecords
	}
	who, err := ipns.NameFromString(name)
	if err != nil {
		return done, &blocks.RecordError{Name: name, Reason: "no name of a key"}
	}
	rec := names.Pack(who, record)
	seq, expires, err := names.Valid(rec.Key, rec.Value)
	if err != nil {
		return done, &blocks.RecordError{Name: who.String(), Reason: "it is not good: " + err.Error()}
	}
	if known, err := n.lookName(ctx, who); err == nil {
		done.Was = known.seq
	} else if ctx.Err() != nil {
		return done, err
	}
	_, read, _, err := names.Open(rec.Value)
	if err != nil {
		return done, err
	}
	value, err := read.Value()
	if err != nil {
		return done, err
	}
	done.Name, done.Value, done.Seq, done.Expires = who.String(), value.String(), seq, expires
	err = n.keepName(ctx, rec, &done)
	if errors.Is(err, replica.ErrOlder) {
		return done, &blocks.RecordError{Name: done.Name, Reason: fmt.Sprintf("number %d is not better than number %d, which is known", seq, done.Was)}
	}
	if err != nil {
		return done, err
	}
	n.spreadName(ctx, who, record, &done)
	return done, nil
}
