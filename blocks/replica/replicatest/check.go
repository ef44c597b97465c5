package replicatest

import (
	"cmp"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
)

// Tally is what was done since the start, or since [World.Reset].
type Tally struct {
	Exchanges int // with another peer, of any kind
	Asked     int // keys in questions of what another has
	Offered   int // blocks offered for repair
	Had       int // of these, blocks that the other had
	Urgent    int // of these, blocks with so few copies that no grace is waited for
	Refused   int // of these, blocks that the other did not want for another reason
	Sent      int // blocks sent for repair
	Twice     int // of these, blocks that were there when they came
	Needed    int // seats that became somebody's who had no copy: what repair has to send
	Filled    int // of these, those that have their copy

	Compared int   // comparisons begun
	Pairs    int   // of members, between which there was any
	Told     int64 // bytes of comparisons and of the audits in them, both ways
	LetGo    int   // leases that a member dropped because others hold the block
	Rashly   int   // of these, those of which fewer than R others had a copy they keep
}

// check is what an omniscient observer counts. It is guarded by the world's mu.
type check struct {
	tally   Tally
	lost    int
	open    map[uint64]vacancy // a seat whose member has no copy, by entry and member
	pairs   map[uint64]bool    // two members that have compared what they hold
	heard   []time.Duration    // from the first member's knowledge of a change to the copy it called for
	overdue []time.Duration    // the same, from the end of the grace
}

// vacancy is since when a copy is called for: by when the first other could know, and
// by when the rules ask for it.
type vacancy struct{ known, due time.Time }

func seatOf(e int32, m *member) uint64 { return uint64(uint32(e))<<32 | uint64(uint32(m.n)) }

// Tally gives what was done.
func (w *World) Tally() Tally {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.check.tally
}

// Reset begins the tally and the repair times anew.
func (w *World) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check.tally, w.check.heard, w.check.overdue = Tally{}, nil, nil
	clear(w.check.pairs)
}

func (w *World) asked(keys int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check.tally.Asked += keys
}

func (w *World) offered(why wire.Reason, items []wire.Item, verdicts []wire.Status) {
	if why == wire.Put {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check.tally.Offered += len(items)
	for i := range items {
		if items[i].Urgent {
			w.check.tally.Urgent++
		}
	}
	for _, v := range verdicts {
		switch v {
		case 0:
		case wire.Have:
			w.check.tally.Had++
		default:
			w.check.tally.Refused++
		}
	}
}

func (w *World) sent(why wire.Reason, to *member, bs []blocks.Block) {
	if why == wire.Put {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check.tally.Sent += len(bs)
	for _, b := range bs {
		if slices.Contains(w.entries[w.entry(b.Hash())].holders, to.n) {
			w.check.tally.Twice++
		}
	}
}

// came notes that m has the block h on its disk. The caller holds mu.
func (w *World) came(m *member, h []byte) {
	i := w.entry(h)
	e := w.entries[i]
	if m.gone || slices.Contains(e.holders, m.n) {
		return
	}
	e.holders = append(e.holders, m.n)
	if v, ok := w.check.open[seatOf(i, m)]; ok {
		delete(w.check.open, seatOf(i, m))
		w.check.tally.Filled++
		w.check.heard = append(w.check.heard, max(time.Since(v.known), 0))
		w.check.overdue = append(w.check.overdue, max(time.Since(v.due), 0))
	}
}

// went notes that m has the block i no more. The caller holds mu.
func (w *World) went(m *member, i int32) {
	e := w.entries[i]
	at := slices.Index(e.holders, m.n)
	if at < 0 {
		return
	}
	if e.holders = slices.Delete(e.holders, at, at+1); len(e.holders) == 0 && !e.lost {
		e.lost = true
		w.check.lost++
	}
}

// settled reports whether m is up and known to be. The caller holds mu.
func (w *World) settled(m *member) bool {
	return m.up && (!m.before.at.IsZero() || time.Since(m.now.at) >= m.now.lag)
}

// seats gives the n settled members closest to e. The caller holds mu.
func (w *World) seats(e *entry, n int) (out []*member) {
	for _, k := range e.near {
		if m := w.members[k]; w.settled(m) {
			if out = append(out, m); len(out) == n {
				break
			}
		}
	}
	return out
}

// vacate opens the seats for which m, which has just gone or is taken for gone, makes
// room. The caller holds mu.
func (w *World) vacate(m *member, known time.Time) {
	for i, e := range w.entries {
		at := slices.Index(e.near, m.n)
		if at < 0 || e.lost {
			continue
		}
		if w.isOpen(seatOf(int32(i), m)) {
			delete(w.check.open, seatOf(int32(i), m))
			w.check.tally.Needed--
		}
		before := 0
		for _, k := range e.near[:at] {
			if w.settled(w.members[k]) {
				before++
			}
		}
		if before >= w.cfg.R {
			continue
		}
		if now := w.seats(e, w.cfg.R); len(now) == w.cfg.R {
			w.call(int32(i), now[w.cfg.R-1], known)
		}
	}
}

func (w *World) isOpen(seat uint64) bool {
	_, ok := w.check.open[seat]
	return ok
}

// call notes that m should have the block i, unless it has. The caller holds mu.
func (w *World) call(i int32, m *member, known time.Time) {
	if slices.Contains(w.entries[i].holders, m.n) {
		return
	}
	if !w.isOpen(seatOf(i, m)) {
		w.check.open[seatOf(i, m)] = vacancy{known, w.due(w.entries[i], m, known)}
		w.check.tally.Needed++
	}
}

// due is when m has one of the R seats of e, in which the lost ahead of it stay for the
// grace, but not before known. The caller holds mu.
func (w *World) due(e *entry, m *member, known time.Time) time.Time {
	room, ends := w.cfg.R-1, []time.Time(nil)
	for _, k := range e.near {
		o := w.members[k]
		switch end := o.now.at.Add(o.now.lag + w.cfg.Grace); {
		case o == m:
			slices.SortFunc(ends, time.Time.Compare)
			if over := len(ends) - room; over > 0 && ends[over-1].After(known) {
				return ends[over-1]
			}
			return known
		case w.settled(o):
			room--
		case !o.up && end.After(time.Now()):
			ends = append(ends, end)
		}
	}
	return known
}

// forsake notes that m is gone for ever, with its disk. The caller holds mu.
func (w *World) forsake(m *member) {
	for i, e := range w.entries {
		if slices.Contains(e.holders, m.n) {
			w.went(m, int32(i))
		}
	}
	known := m.now.at.Add(m.now.lag)
	w.vacate(m, known)
	m.set, m.disk = nil, &disk{w: w, m: m}
}

// claim opens the seats that are m's now that it has come. The caller holds mu.
func (w *World) claim(m *member) {
	for i, e := range w.entries {
		if at := slices.Index(e.near, m.n); at < 0 || e.lost {
			continue
		}
		near := w.seats(e, w.cfg.R+1)
		if !slices.Contains(near[:min(w.cfg.R, len(near))], m) {
			continue
		}
		w.call(int32(i), m, time.Now())
		for _, o := range near[:min(w.cfg.R, len(near))] { // further away, with the lost between
			seat := seatOf(int32(i), o)
			if v, ok := w.check.open[seat]; ok {
				if due := w.due(e, o, v.known); due.After(v.due) {
					w.check.open[seat] = vacancy{v.known, due}
				}
			}
		}
		if len(near) <= w.cfg.R {
			continue
		}
		if seat := seatOf(int32(i), near[w.cfg.R]); w.isOpen(seat) { // nobody's any more
			delete(w.check.open, seat)
			w.check.tally.Needed--
		}
	}
}

// Lost is how many blocks nobody has who lives or will return.
func (w *World) Lost() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.check.lost
}

// Deaths is how many members are gone for ever.
func (w *World) Deaths() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.members {
		if m.gone {
			n++
		}
	}
	return n
}

// Copies counts the blocks by how many members that are up have them.
func (w *World) Copies() map[int]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[int]int{}
	for _, e := range w.entries {
		n := 0
		for _, k := range e.holders {
			if w.members[k].up {
				n++
			}
		}
		out[n]++
	}
	return out
}

// holding gives the holders of e: the R closest, and where members are of nets those beside
// them. The caller holds mu.
func (w *World) holding(e *entry) (out []*member) {
	if w.cfg.Group == nil {
		return w.seats(e, w.cfg.R)
	}
	near := w.seats(e, keyspace.Outward)
	numbers := make([]int, len(near))
	for i, m := range near {
		numbers[i] = int(m.n)
	}
	for _, i := range keyspace.Holders(w.groups(numbers), w.cfg.R) {
		out = append(out, near[i])
	}
	return out
}

// Wanted is how many copies there are when all blocks that are not lost are on all their holders.
func (w *World) Wanted() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.entries {
		if !e.lost {
			n += len(w.holding(e))
		}
	}
	return n
}

// groups gives the nets of members.
func (w *World) groups(numbers []int) []keyspace.Group {
	out := make([]keyspace.Group, len(numbers))
	for i, n := range numbers {
		if w.cfg.Group != nil {
			out[i] = w.cfg.Group(n)
		}
	}
	return out
}

// Short counts the blocks that are not on each of their holders, without those that are lost.
func (w *World) Short() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.entries {
		for _, m := range w.holding(e) {
			if !e.lost && !slices.Contains(e.holders, m.n) {
				n++
				break
			}
		}
	}
	return n
}

// Missing counts the copies that are missing on the R closest members of one side, if
// that were the network.
func (w *World) Missing(side func(n int) bool) (missing int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.entries {
		n, has := 0, 0
		for _, k := range e.near {
			if m := w.members[k]; n < w.cfg.R && w.settled(m) && side(int(k)) {
				if n++; slices.Contains(e.holders, k) {
					has++
				}
			}
		}
		if slices.ContainsFunc(e.holders, func(k int32) bool { return side(int(k)) }) { // else nobody there can give it
			missing += n - has
		}
	}
	return missing
}

// Blocks is how many blocks there are, lost ones too.
func (w *World) Blocks() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.entries)
}

// Finds reports whether a read of block i by the member n finds it at the first try:
// one of the 2R closest, as n believes, can be reached and has it.
func (w *World) Finds(n, i int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, e, asked := w.members[n], w.entries[i], 0
	for _, k := range e.near {
		m := w.members[k]
		if alive, _ := w.sees(o, m, time.Now()); !alive {
			continue
		}
		if slices.Contains(e.holders, k) && (m == o || w.reaches(o, m)) {
			return true
		}
		if asked++; asked == 2*w.cfg.R {
			break
		}
	}
	return false
}

// Reads lets k drawn members read a drawn block each, and counts those who find it.
func (w *World) Reads(k int) (found int) {
	for range k {
		readers := w.Live()
		w.mu.Lock()
		n, i := readers[w.rng.IntN(len(readers))], w.rng.IntN(len(w.entries))
		w.mu.Unlock()
		if w.Finds(n, i) {
			found++
		}
	}
	return found
}

// Times gives how long the p-th part of the repairs took at most: from when the first
// member knew of the death or the newcomer, and from when the grace was over.
func (w *World) Times(p float64) (heard, overdue time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Quantile(w.check.heard, p), Quantile(w.check.overdue, p)
}

// Open is how many seats wait for a copy for longer than d, since it was due.
func (w *World) Open(d time.Duration) int {
	open, _ := w.open(d)
	return open
}

// Neglected is how many of the [World.Open] seats somebody who has the block could fill:
// the two reach each other.
func (w *World) Neglected(d time.Duration) int {
	_, reached := w.open(d)
	return reached
}

func (w *World) open(d time.Duration) (n, reached int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for seat, v := range w.check.open {
		e, m := w.entries[seat>>32], w.members[uint32(seat)]
		if !e.lost && time.Since(v.due) > d && slices.Contains(w.seats(e, w.cfg.R), m) {
			n++
			if slices.ContainsFunc(e.holders, func(k int32) bool { return w.reaches(w.members[k], m) }) {
				reached++
			}
		}
	}
	return n, reached
}

// Quantile is the least of vs that at least the part p of them does not exceed; of none it is 0.
func Quantile[T cmp.Ordered](vs []T, p float64) (q T) {
	if len(vs) == 0 {
		return q
	}
	vs = slices.Sorted(slices.Values(vs))
	return vs[min(int(p*float64(len(vs))), len(vs)-1)]
}
