package rbsr

// Responder is the side that is asked. It learns nothing.
type Responder struct{ side }

// Respond answers for mine, of at most [MaxKeys] keys.
func Respond(mine *Set) *Responder { return &Responder{side{mine: mine}} }

// Step takes a message and gives the answer; nil says that all agrees, and is the end.
func (x *Responder) Step(msg []byte) (answer []byte, err error) {
	r, err := x.accept(msg)
	if err != nil {
		return nil, err
	}
	var ps []piece
	var t tally
	for r.more() {
		g, err := r.next()
		if err != nil {
			return nil, err
		}
		switch g.mode {
		case modeSkip:
		case modePrint:
			if p, differs := x.compare(g, &t); differs {
				ps = append(ps, p)
			}
		case modeList:
			ps = append(ps, x.weigh(g))
		case modeAnswer:
			return nil, malformed("an answer to nothing")
		}
	}
	if len(ps) == 0 {
		return nil, nil
	}
	answer = x.compose(ps, t.much() || x.sent == 0 && apart(x.mine.Len(), x.theirs))
	if x.keys > x.mine.Len() {
		return nil, malformed("the same keys are asked for again")
	}
	if x.keys*keySize+x.other > limit(x.mine.Len(), x.theirs) {
		return nil, malformed("too much is asked for")
	}
	return answer, nil
}

// weigh is the answer to a list.
func (x *Responder) weigh(g span) piece {
	p := piece{lo: g.lo, hi: g.hi, listed: true, n: len(g.keys) / keySize}
	p.had = make([]byte, (p.n+7)/8)
	mine := x.mine.keys[x.mine.before(g.lo):x.mine.before(g.hi)]
	i := 0
	g.each(func(k Key) {
		for len(mine) > 0 && (bound{key: mine[0]}).cmp(bound{key: k}) < 0 {
			p.extra, mine = append(p.extra, mine[0]), mine[1:]
		}
		if len(mine) > 0 && mine[0] == k {
			p.had[i/8] |= 1 << (i % 8)
			mine = mine[1:]
		}
		i++
	})
	p.extra = append(p.extra, mine...)
	return p
}
