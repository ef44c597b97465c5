package keyspace_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/cairn-network/cairn/dht/keyspace"
	"pgregory.net/rapid"
)

func TestGroupsAreOfThePublicInternet(t *testing.T) {
	group := func(net, wide string) keyspace.Group {
		return keyspace.Group{Net: netip.MustParsePrefix(net), Wide: netip.MustParsePrefix(wide)}
	}
	for a, want := range map[string]keyspace.Group{
		"8.8.4.4":             group("8.8.4.0/24", "8.8.0.0/16"),
		"::ffff:8.8.4.4":      group("8.8.4.0/24", "8.8.0.0/16"),
		"2a00:1450:4001:81::": group("2a00:1450:4001::/48", "2a00:1450::/32"),
		"127.0.0.1":           {}, "10.1.2.3": {}, "192.168.0.1": {}, "172.16.9.9": {}, "169.254.1.1": {}, "100.64.3.2": {},
		"0.0.0.0": {}, "224.0.0.1": {}, "255.255.255.255": {}, "::1": {}, "fe80::1%eth0": {}, "fd00::1": {}, "ff02::1": {}, "::": {},
	} {
		if got := keyspace.GroupOf(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is of %v, want %v", a, got, want)
		}
	}
	if got := keyspace.GroupOf(netip.Addr{}); got != (keyspace.Group{}) {
		t.Errorf("no address is of %v", got)
	}
}

// groups draws n groups of few nets, some of them none.
func groups(t *rapid.T, n int) []keyspace.Group {
	rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
	wide, nets := rapid.IntRange(1, 12).Draw(t, "wide nets"), rapid.IntRange(1, 8).Draw(t, "nets in each")
	unknown := rapid.IntRange(0, 4).Draw(t, "unknown of ten")
	out := make([]keyspace.Group, n)
	for i := range out {
		if rnd.IntN(10) >= unknown {
			out[i] = keyspace.GroupOf(netip.AddrFrom4([4]byte{8, byte(rnd.IntN(wide)), byte(rnd.IntN(nets)), byte(rnd.IntN(256))}))
		}
	}
	return out
}

// The r closest are always holders and come first, whoever they are; after them come
// exactly those that count, by a count of another kind, until r do; and nobody beyond the
// 64 nearest is looked at.
func TestHoldersAreTheClosestAndThoseThatCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gs, r := groups(t, rapid.IntRange(0, 100).Draw(t, "N")), rapid.IntRange(1, 12).Draw(t, "r")
		at := keyspace.Holders(gs, r)
		for i := range min(r, len(gs)) {
			if i >= len(at) || at[i] != i {
				t.Fatalf("of the %d closest the holders are %v", r, at)
			}
		}
		var counted, want []int
		for i := range min(len(gs), 64) {
			same := func(of func(keyspace.Group) netip.Prefix) (n int) {
				for _, j := range counted {
					if gs[i] != (keyspace.Group{}) && of(gs[j]) == of(gs[i]) {
						n++
					}
				}
				return n
			}
			counts := len(counted) < r && same(func(g keyspace.Group) netip.Prefix { return g.Net }) < 1 &&
				same(func(g keyspace.Group) netip.Prefix { return g.Wide }) < 2
			if counts {
				counted = append(counted, i)
			}
			if i < r || counts {
				want = append(want, i)
			}
		}
		if !slices.Equal(at, want) {
			t.Fatalf("the holders are %v, want %v", at, want)
		}
		if more := append(slices.Clone(gs), groups(t, 30)...); len(gs) >= 64 && !slices.Equal(keyspace.Holders(more, r), at) {
			t.Fatal("somebody beyond the 64 nearest counts")
		}
	})
}

// Of a hundred members of one wide net, but for one, two and that one count: it is a holder
// if it is one of the 64 nearest.
func TestTheSixtyFourthIsTheLastThatIsLookedAt(t *testing.T) {
	for other, want := range map[int][]int{4: {0, 1, 2, 3, 4}, 5: {0, 1, 2, 3, 4, 5}, 63: {0, 1, 2, 3, 4, 63}, 64: {0, 1, 2, 3, 4}} {
		gs := make([]keyspace.Group, 100)
		for i := range gs {
			gs[i] = keyspace.GroupOf(netip.AddrFrom4([4]byte{8, 8, byte(i), 1}))
		}
		gs[other] = keyspace.GroupOf(netip.MustParseAddr("9.9.9.9"))
		if at := keyspace.Holders(gs, 5); !slices.Equal(at, want) {
			t.Errorf("with another net at %d the holders are %v, want %v", other, at, want)
		}
	}
}

// Of members of no group, and where every group is another one, only the r closest are
// holders: this is what diversity costs where there is diversity.
func TestWhereNobodyIsCappedTheClosestAreAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, r := rapid.IntRange(0, 100).Draw(t, "N"), rapid.IntRange(1, 12).Draw(t, "r")
		own := make([]keyspace.Group, n)
		for i := range own {
			own[i] = keyspace.GroupOf(netip.AddrFrom4([4]byte{8, byte(i), 0, 1}))
		}
		for _, gs := range [][]keyspace.Group{make([]keyspace.Group, n), own} {
			if at := keyspace.Holders(gs, r); len(at) != min(r, n) {
				t.Fatalf("%d members of no shared group: holders %v of %d", n, at, r)
			}
		}
	})
}

// A newcomer adds nobody but itself and pushes out three at most, two where fewer than 64
// are looked at: who comes or goes moves little.
func TestANewcomerMovesLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gs, r := groups(t, rapid.IntRange(1, 100).Draw(t, "N")), rapid.IntRange(1, 12).Draw(t, "r")
		p := rapid.IntRange(0, len(gs)-1).Draw(t, "newcomer")
		after := keyspace.Holders(gs, r)
		before := keyspace.Holders(slices.Delete(slices.Clone(gs), p, p+1), r)
		for i, at := range before {
			if at >= p {
				before[i]++ // as they are numbered once it is there
			}
		}
		for _, at := range after {
			if at != p && !slices.Contains(before, at) {
				t.Fatalf("%d became a holder because %d came: %v, %v", at, p, before, after)
			}
		}
		most, gone := 3, 0
		if len(gs) <= keyspace.Outward {
			most = 2
		}
		for _, at := range before {
			if !slices.Contains(after, at) {
				gone++
			}
		}
		if gone > most {
			t.Fatalf("%d lost their place because %d came: %v, %v", gone, p, before, after)
		}
	})
	ip := func(a string) keyspace.Group { return keyspace.GroupOf(netip.MustParseAddr(a)) }
	before := []keyspace.Group{ip("8.8.8.1"), ip("8.8.8.2"), ip("9.9.9.9")} // the second does not count, the third makes up for it
	after := append([]keyspace.Group{ip("7.7.7.7")}, before...)
	if was, is := keyspace.Holders(before, 2), keyspace.Holders(after, 2); len(was) != 3 || !slices.Equal(is, []int{0, 1}) {
		t.Errorf("holders %v, then %v: want a newcomer that pushes out two", was, is)
	}
}

// The holders hang on who is near and where, and not on the order in which they were met.
func TestHoldersDoNotHangOnTheOrderOfMeeting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := keyspace.SetOf(crowd(t, rapid.IntRange(1, 150).Draw(t, "N")))
		gs, at := groups(t, len(keys)), map[keyspace.Key]keyspace.Group{}
		for i, k := range keys {
			at[k] = gs[i]
		}
		x, r := point(t, keys), rapid.IntRange(1, 12).Draw(t, "r")
		holders := func(met []keyspace.Key) (out []keyspace.Key) {
			s := keyspace.SetOf(met)
			var near []keyspace.Group
			places := s.Nearest(x, keyspace.Outward)
			for _, i := range places {
				near = append(near, at[s[i]])
			}
			for _, i := range keyspace.Holders(near, r) {
				out = append(out, s[places[i]])
			}
			return out
		}
		other := slices.Clone([]keyspace.Key(keys))
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 3)).Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		if !slices.Equal(holders(keys), holders(other)) {
			t.Fatal("another order, other holders")
		}
	})
}
