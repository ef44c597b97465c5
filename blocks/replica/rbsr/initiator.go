package rbsr

// Initiator is the side that begins, and that learns what differs.
type Initiator struct {
	side
	open []piece // what was asked last
	have []Key
	need []Key
}

// Initiate begins a comparison of mine, of at most [MaxKeys] keys, with another's.
func Initiate(mine *Set) *Initiator { return &Initiator{side: side{mine: mine}} }

// First is the first message.
func (x *Initiator) First() []byte {
	all := piece{hi: bound{end: true}, j: x.mine.Len()}
	w := writer{b: x.compose(nil, false)} // the count
	w.print(all.lo, all.hi, x.mine.print(all.i, all.j))
	x.open = []piece{all}
	return w.b
}

// Step takes the answer to the last message and gives the next one; nil says that
// nothing is left to ask. No answer at all is an empty one. It answers [ErrForm], and
// knows nothing then.
func (x *Initiator) Step(answer []byte) (next []byte, err error) {
	var r reader
	if len(answer) > 0 {
		if r, err = x.accept(answer); err != nil {
			return nil, err
		}
	}
	var ps []piece
	var t tally
	open := x.open
	for r.more() {
		g, err := r.next()
		if err != nil {
			return nil, err
		}
		if g.mode == modeSkip {
			continue
		}
		for len(open) > 0 && open[0].hi.cmp(g.lo) <= 0 && !open[0].listed {
			open = open[1:] // what is left of it agrees
		}
		if len(open) == 0 || open[0].lo.cmp(g.lo) > 0 || g.hi.cmp(open[0].hi) > 0 || open[0].listed != (g.mode == modeAnswer) {
			return nil, malformed("a range that was not asked for")
		}
		switch g.mode {
		case modePrint:
			if p, differs := x.compare(g, &t); differs {
				ps = append(ps, p)
			}
		case modeList:
			x.settle(g)
		case modeAnswer:
			if err := x.answered(open[0], g); err != nil {
				return nil, err
			}
			open = open[1:]
		}
	}
	for _, p := range open {
		if p.listed {
			return nil, malformed("a list was not answered")
		}
	}
	x.open = ps
	if len(ps) == 0 {
		return nil, nil
	}
	if x.sent == Rounds {
		return nil, malformed("a fingerprint in the last message")
	}
	return x.compose(x.open, t.much()), nil
}

// settle compares a list with what is here.
func (x *Initiator) settle(g span) {
	mine := x.mine.keys[x.mine.before(g.lo):x.mine.before(g.hi)]
	g.each(func(k Key) {
		for len(mine) > 0 && (bound{key: mine[0]}).cmp(bound{key: k}) < 0 {
			x.have, mine = append(x.have, mine[0]), mine[1:]
		}
		if len(mine) > 0 && mine[0] == k {
			mine = mine[1:]
			return
		}
		x.need = append(x.need, k)
	})
	x.have = append(x.have, mine...)
}

// answered notes the answer to a list.
func (x *Initiator) answered(p piece, g span) (err error) {
	if p.lo != g.lo || p.hi != g.hi || g.n != p.j-p.i {
		return malformed("an answer to another list")
	}
	for i, k := range x.mine.keys[p.i:p.j] {
		if g.had[i/8]&(1<<(i%8)) == 0 {
			x.have = append(x.have, k)
		}
	}
	g.each(func(k Key) {
		if x.mine.Has(k) {
			err = malformed("an answer with a key of the list")
		}
		x.need = append(x.need, k)
	})
	return err
}

// Differences gives what only this side has, and what only the other side says it has.
// It is whole once [Initiator.Step] has given nil.
func (x *Initiator) Differences() (have, need []Key) { return x.have, x.need }
