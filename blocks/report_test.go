package blocks_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

func TestWaitSaysHowManyCopiesItWants(t *testing.T) {
	for _, c := range []struct {
		wait       blocks.Wait
		r, m, want int
	}{
		{blocks.WaitLocal, 5, 9, 0},
		{blocks.WaitQuorum, 5, 9, 3},
		{blocks.WaitQuorum, 2, 9, 2},
		{blocks.WaitQuorum, 5, 1, 1},
		{blocks.WaitQuorum, 5, 0, 0},
		{"", 5, 9, 3},
		{blocks.WaitFull, 5, 9, 5},
		{blocks.WaitFull, 5, 2, 2},
	} {
		if got := c.wait.Want(c.r, c.m); got != c.want {
			t.Errorf("%s of r %d, m %d: got %d, want %d", c.wait, c.r, c.m, got, c.want)
		}
	}
	for _, s := range []string{"local", "quorum", "full"} {
		if w, err := blocks.ParseWait(s); err != nil || string(w) != s {
			t.Errorf("%s: got %s, %v", s, w, err)
		}
	}
	if _, err := blocks.ParseWait("most"); err == nil {
		t.Error(`"most" was taken`)
	}
}

func TestHealthInWords(t *testing.T) {
	for _, c := range []struct {
		h    blocks.Health
		good bool
		want string
	}{
		{blocks.Health{Leased: true, Target: 5, Members: 9, Blocks: 4, Min: 5}, true, "all 4 blocks have >= 5 live copies; any 4 of these peers may leave"},
		{blocks.Health{Leased: true, Target: 5, Members: 9, Blocks: 1, Min: 5}, true, "the only block has >= 5 live copies; any 4 of these peers may leave"},
		{blocks.Health{Leased: true, Target: 5, Members: 1, Blocks: 4, Min: 1}, true, "all 4 blocks have >= 1 live copy; its holder must not leave"},
		{blocks.Health{Leased: true, Target: 5, Members: 9, Blocks: 4, Min: 3, AtRisk: 2}, false, "2 of 4 blocks have fewer than 5 live copies; any 2 peers may leave"},
		{blocks.Health{Leased: true, Target: 5, Members: 3, Blocks: 4, Min: 2, AtRisk: 1}, false, "1 of 4 blocks have fewer than 3 live copies; any 1 peers may leave"},
		{blocks.Health{Leased: true, Target: 5, Members: 9, Blocks: 4, Min: 0, AtRisk: 4, Copies: []int{3, 1}}, false, "3 of 4 blocks have no live copy on their holders"},
		{blocks.Health{Target: 5, Members: 9, Blocks: 4, Min: 5}, true, "all 4 blocks have >= 5 live copies; any 4 of these peers may leave; nobody is asked to keep them: no lease is known"},
	} {
		if got := c.h.Sentence(); got != c.want || c.h.Good() != c.good {
			t.Errorf("got %q, good %v; want %q, %v", got, c.h.Good(), c.want, c.good)
		}
	}
}

// A health that was never filled in is printed, not a crash.
func TestAnEmptyHealthHasASentence(t *testing.T) {
	for want, h := range map[string]blocks.Health{"no block is known": {}, "no live copy is known": {Blocks: 3}} {
		if got := h.Sentence(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestShortErrorNamesWhatIsShort(t *testing.T) {
	c, cause := blocks.New(cid.Raw, nil).Cid(), errors.New("the disk is full")
	for want, e := range map[string]*blocks.ShortError{
		c.String() + " is kept here only: no other peer is known":                                                                                         {Root: c, Short: 1, Want: 3},
		"2 of the blocks of " + c.String() + " have fewer than 3 copies elsewhere (worst: 1); kept here and queued":                                       {Root: c, Short: 2, Have: 1, Want: 3, Members: 4},
		"2 of the blocks of " + c.String() + " have fewer than 3 copies elsewhere (worst: 0, " + c.String() + "); kept here and queued: the disk is full": {Root: c, Short: 2, Want: 3, Members: 4, Blocks: []cid.Cid{c}, Err: cause},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if e.Err != nil && !errors.Is(e, cause) {
			t.Error("the cause is not to be found")
		}
	}
}

func TestErrorsForFacesNameWhatTheyAreAbout(t *testing.T) {
	for want, err := range map[string]error{
		`bad path "x//y" at character 3: an empty name`:                  &blocks.PathError{Path: "x//y", Offset: 2, Reason: "an empty name"},
		"blocks: /d is in use by another daemon, pid 7":                  &blocks.LockedError{Dir: "/d", PID: 7},
		"blocks: /d has format 2, which is newer than this program":      &blocks.NewerError{Dir: "/d", Version: 2},
		blocks.Key(blocks.New(0x55, nil).Hash()).String() + " not found": &blocks.MissError{CID: blocks.New(cid.Raw, nil).Cid()},
	} {
		if got := err.Error(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSecondsAreANumberInJSON(t *testing.T) {
	data, err := json.Marshal(blocks.Receipt{Took: blocks.Seconds(1500 * time.Millisecond)})
	if err != nil || !strings.Contains(string(data), `"took":1.500`) {
		t.Errorf("got %s, %v", data, err)
	}
	var r blocks.Receipt
	if err := json.Unmarshal([]byte(`{"took":0.25}`), &r); err != nil || time.Duration(r.Took) != 250*time.Millisecond {
		t.Errorf("got %v, %v", time.Duration(r.Took), err)
	}
	if err := json.Unmarshal([]byte(`{"took":"soon"}`), &r); err == nil {
		t.Error(`"soon" was taken`)
	}
}
