package dag_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	ipld "github.com/ipfs/go-ipld-format"
)

// codecs are those whose links are looked for.
var codecs = []uint64{cid.DagProtobuf, cid.DagCBOR, cid.DagJSON, 0x51 /* cbor */, 0x0200 /* json */}

// mostDecoded is what one block may take to be decoded, in bytes allocated.
const mostDecoded = 64 << 20

// decode looks for the links of data under a codec, and gives what that allocated.
func decode(t testing.TB, codec uint64, data []byte) (took uint64, err error) {
	t.Helper()
	b := blocks.New(codec, data)
	store := blockstore.NewBlockstore(dssync.MutexWrap(datastore.NewMapDatastore()))
	if err := store.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	ng := first{merkledag.NewDAGService(blockservice.New(store, nil)), b.Cid()}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, e := range dag.Walk(t.Context(), ng, b.Cid()) {
		err = e
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// first has one node, and says of all others that they are not there.
type first struct {
	ipld.NodeGetter
	root cid.Cid
}

func (f first) Get(ctx context.Context, c cid.Cid) (ipld.Node, error) {
	if !c.Equals(f.root) {
		return nil, blocks.NotFound(c)
	}
	return f.NodeGetter.Get(ctx, c)
}

// Blocks of a stranger that are made to cost much when their links are looked for cost
// little, and are refused or understood in no time.
func TestABlockMadeToCostMuchCostsLittle(t *testing.T) {
	huge := func(head byte) []byte { // a count of 2^32 - 1 of something, and nothing of it
		return binary.BigEndian.AppendUint32([]byte{head | 26}, 1<<32-1)
	}
	group := bytes.Repeat([]byte{0x0b}, blocks.MaxSize) // field 1, a group begins, and never ends
	for name, x := range map[string]struct {
		codec uint64
		data  []byte
	}{
		"CBOR arrays in arrays":        {cid.DagCBOR, bytes.Repeat([]byte{0x81}, blocks.MaxSize)},
		"CBOR maps in maps":            {cid.DagCBOR, bytes.Repeat([]byte{0xa1, 0x60}, blocks.MaxSize/2)},
		"CBOR tags on tags":            {cid.DagCBOR, bytes.Repeat([]byte{0xc0}, blocks.MaxSize)},
		"a huge CBOR array of nothing": {cid.DagCBOR, huge(0x80)},
		"a huge CBOR map of nothing":   {cid.DagCBOR, huge(0xa0)},
		"huge CBOR bytes of nothing":   {cid.DagCBOR, huge(0x40)},
		"a huge CBOR text of nothing":  {cid.DagCBOR, huge(0x60)},
		"plain CBOR, arrays in arrays": {0x51, bytes.Repeat([]byte{0x81}, blocks.MaxSize)},
		"JSON arrays in arrays":        {cid.DagJSON, bytes.Repeat([]byte{'['}, blocks.MaxSize)},
		"JSON objects in objects":      {cid.DagJSON, bytes.Repeat([]byte(`{"":`), blocks.MaxSize/4)},
		"plain JSON, arrays in arrays": {0x0200, bytes.Repeat([]byte{'['}, blocks.MaxSize)},
		"protobuf groups in groups":    {cid.DagProtobuf, group},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			took, err := decode(t, x.codec, x.data)
			if err == nil {
				t.Error("it was understood")
			}
			t.Logf("FIGURE %d bytes allocated, %v", took, time.Since(began).Round(time.Microsecond))
			if took > mostDecoded || time.Since(began) > 5*time.Second {
				t.Errorf("%d bytes and %v", took, time.Since(began))
			}
		})
	}
}

// What is counted without decoding is what there is, or a little more; texts and bytes that
// look like values are none.
func TestValuesAreCountedWithoutDecoding(t *testing.T) {
	many := dag.MaxValues + 10
	list := binary.BigEndian.AppendUint32([]byte{0x9a}, uint32(many))
	for name, x := range map[string]struct {
		codec       uint64
		data        []byte
		least, most int
	}{
		"nothing":                  {cid.DagCBOR, nil, 0, 0},
		"a map of one":             {cid.DagCBOR, []byte("\xa1\x61a\x01"), 3, 3},
		"bytes of 64 KiB":          {cid.DagCBOR, append([]byte{0x5a, 0, 1, 0, 0}, make([]byte, 1<<16)...), 1, 1},
		"a text that is cut":       {cid.DagCBOR, []byte{0x7a, 0, 1, 0, 0, 'a'}, 1, 1},
		"many numbers":             {cid.DagCBOR, append(list, make([]byte, many)...), dag.MaxValues + 1, dag.MaxValues + 1},
		"many empty lists":         {0x51, append(list, bytes.Repeat([]byte{0x80}, many)...), dag.MaxValues + 1, dag.MaxValues + 1},
		"a list of three":          {cid.DagJSON, []byte("[1,2,3]"), 3, 3},
		"a text of brackets":       {cid.DagJSON, []byte(`["[[[[,,,,:::{{{{\"[[[["]`), 1, 1},
		"many numbers in JSON":     {0x0200, append(bytes.Repeat([]byte("[1,"), many), '1'), dag.MaxValues + 1, dag.MaxValues + 1},
		"bytes that are no values": {cid.Raw, bytes.Repeat([]byte{0x80}, many), 0, 0},
	} {
		if n := dag.Values(x.codec, x.data); n < x.least || n > x.most {
			t.Errorf("%s: %d values, want %d to %d", name, n, x.least, x.most)
		}
	}
}

// Whatever a block holds, to look for its links ends, without a panic and within bounds.
func FuzzDecodeNode(f *testing.F) {
	for i := range codecs {
		for _, data := range []string{"", "\xa1\x61a\x01", `{"a":{"/":"bafkqaaa"}}`, "\x12\x04\x0a\x02\x00\x00", "\x81\x81\x81", "[[["} {
			f.Add(byte(i), []byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, codec byte, data []byte) {
		if len(data) > blocks.MaxSize {
			return
		}
		c := codecs[int(codec)%len(codecs)]
		if dag.Values(c, data) > dag.MaxValues {
			return // refused before
		}
		if took, _ := decode(t, c, data); took > mostDecoded {
			t.Errorf("%d bytes allocated for %d", took, len(data))
		}
	})
}
