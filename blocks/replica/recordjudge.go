package replica

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// judged is a good value.
type judged struct {
	value   []byte
	seq     uint64
	expires time.Time
}

// wins reports whether a stands when b is there too.
func (a judged) wins(b judged) bool {
	if a.seq != b.seq {
		return a.seq > b.seq
	}
	if !a.expires.Equal(b.expires) {
		return a.expires.After(b.expires)
	}
	return bytes.Compare(a.value, b.value) > 0
}

// rivals are the values among good that share a's sequence number and lost to it, each once.
func (a judged) rivals(good []judged) (out [][]byte) {
	for _, j := range good {
		same := func(v []byte) bool { return bytes.Equal(v, j.value) }
		if j.seq == a.seq && !same(a.value) && !slices.ContainsFunc(out, same) {
			out = append(out, j.value)
		}
	}
	return out
}

// judge answers an error unless rec is good now, by what kinds says of its kind.
func judge(kinds map[blocks.RecordKind]Validator, rec blocks.Record, now time.Time) (judged, error) {
	valid := kinds[rec.Kind]
	if valid == nil {
		return judged{}, fmt.Errorf("replica: records of kind %d are not known", rec.Kind)
	}
	if len(rec.Value) > blocks.MaxRecord {
		return judged{}, fmt.Errorf("replica: record of %d bytes, limit %d", len(rec.Value), blocks.MaxRecord)
	}
	seq, expires, err := valid(rec.Key, rec.Value)
	if err == nil && !expires.After(now) {
		err = fmt.Errorf("replica: record expired %s", expires.UTC().Format(time.RFC3339))
	}
	return judged{rec.Value, seq, expires}, err
}
