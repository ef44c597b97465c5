package pubsub_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/cairn-network/cairn/pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

func TestAgeDecidesWhetherAnUpdateIsHeard(t *testing.T) {
	u, data := sample(t, 1, noon) // lives for an hour
	for _, c := range []struct {
		name  string
		now   time.Time
		heard bool
	}{
		{"as it is said", u.Time, true},
		{"by a clock 10 minutes behind", u.Time.Add(-10 * time.Minute), true},
		{"by a clock further behind", u.Time.Add(-10*time.Minute - time.Millisecond), false},
		{"at the last moment", u.Expires.Add(-time.Millisecond), true},
		{"when it expires", u.Expires, false},
		{"a year later", u.Time.AddDate(1, 0, 0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := pubsub.NewValidator(topic, 16<<10).Check(data, c.now)
			if c.heard && err != nil || !c.heard && !errors.Is(err, pubsub.ErrIgnored) {
				t.Errorf("got %v, want heard = %v", err, c.heard)
			}
		})
	}
}

func TestTheLimitOfAMessageIsExact(t *testing.T) {
	_, data := sample(t, 1, noon)
	if _, err := pubsub.NewValidator(topic, len(data)).Check(data, noon); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := pubsub.NewValidator(topic, len(data)-1).Check(data, noon); err == nil || errors.Is(err, pubsub.ErrIgnored) {
		t.Errorf("one byte over: got %v, want rejected", err)
	}
}

func TestSequenceOfAnAuthorOnlyGrows(t *testing.T) {
	v := pubsub.NewValidator(topic, 16<<10)
	for _, c := range []struct {
		from  peer.ID
		seq   uint64
		heard bool
	}{
		{"a", 0, true}, {"a", 0, false}, {"a", 5, true}, {"a", 4, false}, {"a", 5, false},
		{"b", 4, true}, {"a", 6, true}, {"a", 1<<64 - 1, true}, {"a", 7, false}, {"b", 5, true},
	} {
		err := v.Admit(pubsub.Update{From: c.from, Seq: c.seq, Time: noon, Expires: noon.Add(time.Hour)}, noon)
		if c.heard && err != nil || !c.heard && !errors.Is(err, pubsub.ErrIgnored) {
			t.Errorf("%s %d: %v, want heard = %v", c.from, c.seq, err, c.heard)
		}
	}
}

func TestAnAuthorSaysTenASecond(t *testing.T) {
	v := pubsub.NewValidator(topic, 16<<10)
	var seq uint64
	// say counts how many of a hundred updates at once are heard.
	say := func(from peer.ID, now time.Time) (heard int) {
		for range 100 {
			seq++
			if v.Admit(pubsub.Update{From: from, Seq: seq, Time: noon, Expires: noon.Add(time.Hour)}, now) == nil {
				heard++
			}
		}
		return heard
	}
	for _, c := range []struct {
		from  peer.ID
		after time.Duration
		want  int
	}{
		{"a", 0, 30}, {"a", 0, 0}, {"b", 0, 30}, {"a", 100 * time.Millisecond, 1},
		{"a", 1100 * time.Millisecond, 10}, {"a", time.Minute, 30}, {"b", time.Minute, 30},
	} {
		if got := say(c.from, noon.Add(c.after)); got != c.want {
			t.Errorf("%s after %s: heard %d, want %d", c.from, c.after, got, c.want)
		}
	}
}

func TestMemoryOfAuthorsIsBounded(t *testing.T) {
	v := pubsub.NewValidator(topic, 16<<10)
	for i := range 3 * pubsub.MemoryAuthors {
		u := pubsub.Update{From: peer.ID(strconv.Itoa(i)), Seq: 1, Time: noon, Expires: noon.Add(time.Hour)}
		if err := v.Admit(u, noon); err != nil {
			t.Fatal(err)
		}
	}
	if v.Len() != pubsub.MemoryAuthors {
		t.Errorf("remembers %d authors, want %d", v.Len(), pubsub.MemoryAuthors)
	}
}

func TestIgnoringLeavesNoTrace(t *testing.T) {
	v := pubsub.NewValidator(topic, 16<<10)
	u, data := sample(t, 1, noon)
	if _, err := v.Check(data, u.Expires); err == nil {
		t.Fatal("heard an expired update")
	}
	if _, err := v.Check(data, noon); err != nil {
		t.Errorf("got %v: an ignored update counted as heard", err)
	}
	if got := v.Highest(u.From); got != u.Seq {
		t.Errorf("highest sequence %d, want %d", got, u.Seq)
	}
}

// FuzzValidate holds the validator to its word: it never panics, and what it
// accepts is signed, in the one form, within the limits and heard once. The
// signature is checked by other means than the package's own.
func FuzzValidate(f *testing.F) {
	_, good := sample(f, 1, noon)
	f.Add(good)
	for _, bad := range forgeries(f, noon) {
		f.Add(bad.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := pubsub.NewValidator(topic, 16<<10)
		u, err := v.Check(data, noon)
		if err != nil {
			return
		}
		body, sig := data[:len(data)-66], data[len(data)-64:]
		if !bytes.Equal(body, u.Body()) {
			t.Errorf("accepted a form that is not canonical: %x", data)
		}
		public := ed25519.PublicKey(u.From[6:]) // identity hash, length, key type, length
		if !ed25519.Verify(public, []byte("cairn/update/1/cairn/main/updates/1"+string(body)), sig) {
			t.Errorf("accepted a signature that is none: %x", data)
		}
		if len(data) > 16<<10 || len(u.Root) > pubsub.MaxRoot || len(u.Name) > pubsub.MaxName || !u.Expires.After(noon) {
			t.Errorf("accepted beyond the limits: %+v", u)
		}
		if _, err := v.Check(data, noon); !errors.Is(err, pubsub.ErrIgnored) {
			t.Errorf("twice: %v", err)
		}
	})
}
